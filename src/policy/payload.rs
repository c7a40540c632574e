//! The size of a request's body, judged before the service sees any of the body. The head may
//! have gone ahead.

use super::{Compile, Context, Kind, Part, Policy, Role, Stage, Verdict};
use crate::body::{BodyNeed, RequestBody};
use crate::config::Fields;
use crate::exchange::{BodyState, Exchange};
use crate::host::Host;
use crate::refusal::{Code, Refusal, grpc};

/// `payload: { max_bytes }`.
pub(super) const KIND: Kind = Kind {
    name: "payload",
    role: Role::Guards,
    codes: &[&TOO_LARGE, &LENGTH_MALFORMED],
    compile: Compile::Object(compile),
};

const TOO_LARGE: Code = Code {
    name: "payload_too_large",
    status: 413,
    grpc_status: grpc::RESOURCE_EXHAUSTED,
    title: "The request body is larger than allowed.",
    reasons: &["content_length", "body_size"],
};

const LENGTH_MALFORMED: Code = Code {
    name: "payload_length_malformed",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The Content-Length field is malformed.",
    reasons: &["content_length"],
};

/// Holds the body back until its size is known, so that the service gets all of the body or none.
struct Payload {
    max_bytes: u64,
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<Part>> {
    let node = fields.required("max_bytes", context.problems)?;
    let max_bytes = node.bytes(context.problems)?;
    Some(Part::only(Stage::Content, Payload { max_bytes }))
}

impl Payload {
    fn judge(&self, size: u64, reason: &'static str) -> Option<Verdict> {
        (size > self.max_bytes).then(|| Verdict::Refuse(Refusal::new(&TOO_LARGE, reason)))
    }
}

impl Policy for Payload {
    fn request_headers(&self, exchange: &mut Exchange<'_>, _host: &dyn Host) -> Verdict {
        let malformed = || Verdict::Refuse(Refusal::new(&LENGTH_MALFORMED, "content_length"));
        let Ok(length) = exchange.request.headers.one("content-length") else {
            return malformed();
        };
        match length.map(decimal) {
            None => Verdict::AwaitBody(BodyNeed::Size),
            Some(None) => malformed(),
            Some(Some(length)) => self
                .judge(length, "content_length")
                .unwrap_or(Verdict::AwaitBody(BodyNeed::Size)),
        }
    }

    fn request_body(&self, body: &mut RequestBody<'_>, _host: &dyn Host) -> Verdict {
        self.judge(body.progress.size, "body_size")
            .unwrap_or(match body.progress.state {
                BodyState::Open => Verdict::AwaitBody(BodyNeed::Size),
                BodyState::Complete => Verdict::Pass,
            })
    }
}

/// RFC 9110 §8.6: digits and nothing else. A number too large to hold is larger than any limit.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = std::str::from_utf8(value).ok()?;
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_digits() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"0012"), Some(12));
        assert_eq!(decimal(b"99999999999999999999999"), Some(u64::MAX));
        for wrong in [&b""[..], b"+1", b"-1", b"1,1", b"1 ", b"0x1"] {
            assert_eq!(decimal(wrong), None, "{wrong:?}");
        }
    }
}
