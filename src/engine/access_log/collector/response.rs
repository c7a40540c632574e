//! What a collector answers: OTLP 1.5, "OTLP/HTTP Response".

use std::time::Duration;

use portcullis_exchange::call::{CallError, CallResponse};
use portcullis_wire::budget::{Share, reserve};
use portcullis_wire::headers::Headers;
use portcullis_wire::json::compact::{Compact, FACTOR_WHILE_READ, Value};

/// What the collector made of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Receipt {
    /// It took the records, but for the number that it says it rejected.
    Taken(Partial),
    /// It may take them later, not before that time if it names one.
    Later(Option<Duration>),
    /// It never will.
    Refused,
}

/// `ExportLogsPartialSuccess`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Partial {
    /// How many it rejected.
    pub(super) rejected: u64,
    /// Why, in its own words; it may warn although it rejected none.
    pub(super) message: String,
}

/// The longest answer that is read.
pub const LONGEST_RESPONSE: usize = 64 << 10;
/// The longest that a collector may ask to be left alone.
pub(super) const LONGEST_RETRY: Duration = Duration::from_secs(300);

impl Receipt {
    /// Reads a response, or takes it that there is none.
    pub(super) fn of(response: Result<CallResponse<'_>, CallError>) -> Self {
        match response {
            Ok(response) => Self::read(response.headers, response.body),
            // A head that is too long would be so again.
            Err(CallError::TooLong(_)) => Receipt::Refused,
            Err(_) => Receipt::Later(None),
        }
    }

    fn read(headers: &Headers, body: &[u8]) -> Self {
        match headers.one(":status").ok().flatten().unwrap_or_default() {
            [b'2', ..] => Receipt::Taken(Partial::read(body).unwrap_or_default()),
            b"429" | b"503" => Receipt::Later(retry_after(headers)),
            b"" | b"502" | b"504" => Receipt::Later(None),
            _ => Receipt::Refused,
        }
    }
}

impl Partial {
    fn read(body: &[u8]) -> Option<Self> {
        let memory = body.len().saturating_mul(FACTOR_WHILE_READ);
        let _memory = reserve(Share::Queues, memory)?;
        let json = Compact::parse(body, 8)?;
        let partial = json.member("partialSuccess")?.as_object()?;
        // 64 bits are a string in protobuf's JSON; not everybody knows that.
        let rejected = match partial.member("rejectedLogRecords") {
            Some(Value::String(text) | Value::Number(text)) => text.parse().ok(),
            _ => None,
        };
        let message = partial.member("errorMessage").and_then(Value::as_str);
        Some(Self {
            rejected: rejected.unwrap_or_default(),
            message: message.unwrap_or_default().to_owned(),
        })
    }
}

/// RFC 9110 §10.2.3, in seconds. A date is not understood.
fn retry_after(headers: &Headers) -> Option<Duration> {
    let value = headers.one("retry-after").ok().flatten()?;
    let seconds: u64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: &str, retry: Option<&str>, body: &str) -> Receipt {
        let mut headers = Headers::default();
        headers.push(b":status", status.as_bytes());
        if let Some(retry) = retry {
            headers.push(b"retry-after", retry.as_bytes());
        }
        Receipt::read(&headers, body.as_bytes())
    }

    fn taken(rejected: u64, message: &str) -> Receipt {
        let message = message.to_owned();
        Receipt::Taken(Partial { rejected, message })
    }

    #[test]
    fn statuses_are_those_of_the_protocol() {
        for status in ["429", "502", "503", "504", ""] {
            assert_eq!(read(status, None, ""), Receipt::Later(None), "{status}");
        }
        for status in ["301", "400", "401", "403", "404", "413", "500", "501"] {
            assert_eq!(read(status, Some("1"), ""), Receipt::Refused, "{status}");
        }
        let later = |seconds| Receipt::Later(Some(Duration::from_secs(seconds)));
        assert_eq!(read("503", Some("7"), ""), later(7));
        assert_eq!(read("429", Some("99999999"), ""), later(300));
        for odd in ["-1", "1.5", "", "Fri, 31 Dec 1999 23:59:59 GMT"] {
            assert_eq!(read("429", Some(odd), ""), Receipt::Later(None), "{odd}");
        }
    }

    #[test]
    fn what_has_no_response_is_sent_again_but_for_one_that_cannot_be_read() {
        for error in [
            CallError::NoCluster,
            CallError::Unreachable,
            CallError::Timeout,
            CallError::NoMemory,
        ] {
            assert_eq!(Receipt::of(Err(error)), Receipt::Later(None), "{error:?}");
        }
        let long = Receipt::of(Err(CallError::TooLong(1)));
        assert_eq!(long, Receipt::Refused);
    }

    #[test]
    fn a_part_may_be_rejected() {
        let partial =
            r#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"too \u0041ld"}}"#;
        assert_eq!(read("200", None, partial), taken(3, "too Ald"));
        let number = r#"{"partialSuccess":{"rejectedLogRecords":2}}"#;
        assert_eq!(read("200", None, number), taken(2, ""));
        for whole in [
            "",
            "{}",
            "[]",
            r#"{"partialSuccess":{}}"#,
            r#"{"partialSuccess":null}"#,
            r#"{"partialSuccess":{"rejectedLogRecords":"-1"}}"#,
        ] {
            assert_eq!(read("200", None, whole), taken(0, ""), "{whole}");
        }
    }
}
