//! Which requests are charged, and how that is told.

use crate as policy;
use portcullis_document::{Node, Problems};
use portcullis_exchange::refusal::{Blame, Reason, Refusal};
use portcullis_wire::headers::Headers;
use portcullis_wire::json::Json;

/// Which requests are charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChargedOn {
    /// All.
    Request,
    /// Those whose credentials were refused.
    Refusal,
    /// Requests with a response of one of these statuses. Every request is charged until its answer comes:
    /// or as many could be tried at once as one likes.
    Response(Statuses),
}

/// Statuses of final responses, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Statuses([u64; 7]);

/// What has been learned of how a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learned {
    /// The status.
    Status(u64),
    /// It comes with the trailers.
    Later,
    /// It can be read in two ways, or in none.
    Nothing,
}

/// The first and the last status of a final response, RFC 9110 §15.
const FIRST: u64 = 200;
const LAST: u64 = 599;

impl ChargedOn {
    /// Tells cells apart in which different things are counted.
    pub(super) fn name(self) -> String {
        match self {
            ChargedOn::Request => "request".to_owned(),
            ChargedOn::Refusal => "refusal".to_owned(),
            ChargedOn::Response(Statuses(bits)) => format!("answer {bits:x?}"),
        }
    }

    /// Reads `charge`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        if let Json::Object(_) = node.json() {
            let mut fields = node.fields(problems)?;
            let statuses = fields
                .required("on_status", problems)
                .and_then(|node| Statuses::read(&node, problems));
            fields.deny_unknown(problems);
            return statuses.map(ChargedOn::Response);
        }
        let choices = [
            ("on_request", ChargedOn::Request),
            ("on_refusal", ChargedOn::Refusal),
        ];
        node.choice(problems, &choices)
    }

    /// Whether a refusal by this policy is charged. A request without credentials tries nothing.
    pub(super) fn counts_refusal(self, refusal: &Refusal, by: Option<&'static str>) -> bool {
        let Reason { code, blame, .. } = refusal.reason;
        match self {
            ChargedOn::Request => false,
            ChargedOn::Refusal => blame.is_failed_login(),
            ChargedOn::Response(statuses) => {
                let mut authenticating = policy::LIST
                    .iter()
                    .filter(|kind| kind.role.asks_for_credentials());
                authenticating.any(|kind| Some(kind.name) == by)
                    && statuses.has(u64::from(code.status))
                    && !matches!(blame, Blame::NoCredential | Blame::UsedCredential)
            }
        }
    }

    /// Whether it counts failures, and locks out those who have too many.
    pub(super) fn is_lockout(self) -> bool {
        self != ChargedOn::Request
    }
}

impl Statuses {
    /// Reads a list of numbers and of `"4xx"`.
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut statuses = Self::default();
        for range in node.list(problems, read_range)? {
            range.for_each(|status| statuses.add(status));
        }
        Some(statuses)
    }

    fn add(&mut self, status: u64) {
        let (word, bit) = Self::place(status);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    pub(super) fn has(self, status: u64) -> bool {
        let (word, bit) = Self::place(status);
        let word = self
            .0
            .get(word)
            .filter(|_| (FIRST..=LAST).contains(&status));
        word.is_some_and(|word| word & bit != 0)
    }

    fn place(status: u64) -> (usize, u64) {
        let place = status.saturating_sub(FIRST);
        let word = usize::try_from(place.wrapping_shr(6)).unwrap_or(usize::MAX);
        (
            word,
            1_u64.wrapping_shl(u32::try_from(place & 63).unwrap_or(0)),
        )
    }
}

fn read_range(node: &Node<'_>, problems: &mut Problems) -> Option<std::ops::RangeInclusive<u64>> {
    const CLASSES: [(&str, u64); 4] = [("2xx", 200), ("3xx", 300), ("4xx", 400), ("5xx", 500)];
    let (first, is_class) = node.status(problems, FIRST..=LAST, &CLASSES)?;
    let rest = if is_class { 99 } else { 0 };
    Some(first..=first.saturating_add(rest))
}

impl Learned {
    /// What the head of a response says.
    pub(super) fn of_head(headers: &Headers) -> Self {
        let status = headers.one(":status").ok().flatten().and_then(number);
        match status {
            Some(200) => match (Ending::of(headers), headers.one("grpc-status")) {
                (Ending::Head, _) => Learned::Status(200),
                (_, Ok(Some(code))) => Learned::Status(of_grpc(code)),
                (Ending::Trailers, Ok(None)) => Learned::Later,
                (Ending::Body, Ok(None)) | (_, Err(_)) => Learned::Nothing,
            },
            Some(status) => Learned::Status(status),
            None => Learned::Nothing,
        }
    }

    /// What the trailers of a response say whose head did not.
    pub(super) fn of_trailers(trailers: &Headers) -> Self {
        match trailers.one("grpc-status") {
            Ok(Some(code)) => Learned::Status(of_grpc(code)),
            Ok(None) | Err(_) => Learned::Nothing,
        }
    }
}

/// Where a response of HTTP status 200 says how it ended.
enum Ending {
    Head,
    Trailers,
    /// Nobody looks there. It is for the client to choose such a protocol, so that it is no answer at
    /// all: or as many could be tried in it as one likes.
    Body,
}

impl Ending {
    fn of(headers: &Headers) -> Self {
        let types = || headers.all("content-type");
        let begins = |value: &[u8], begin: &str| {
            let rest = value.split_at_checked(begin.len());
            rest.filter(|(start, _)| start.eq_ignore_ascii_case(begin.as_bytes()))
                .map(|(_, rest)| rest.first().copied())
        };
        let is_grpc = |value| {
            let next = begins(value, "application/grpc");
            next.is_some_and(|next| next.is_none_or(|next| b"+; \t".contains(&next)))
        };
        let is_in_body = |value| {
            let some = ["application/grpc-web", "application/connect+"];
            some.iter().any(|begin| begins(value, begin).is_some())
        };
        if types().any(is_in_body) {
            Ending::Body
        } else if types().any(is_grpc) {
            Ending::Trailers
        } else {
            Ending::Head
        }
    }
}

/// The HTTP status that stands for a status of gRPC, as `google.rpc.Code` has it. One that is not
/// known is UNKNOWN.
fn of_grpc(code: &[u8]) -> u64 {
    match number(code) {
        Some(0) => 200,
        Some(3 | 9 | 11) => 400,
        Some(16) => 401,
        Some(7) => 403,
        Some(5) => 404,
        Some(6 | 10) => 409,
        Some(8) => 429,
        Some(1) => 499,
        Some(12) => 501,
        Some(14) => 503,
        Some(4) => 504,
        _ => 500,
    }
}

/// A whole number: digits, and nothing else.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    let value = value.trim_ascii();
    let is_number = (1..=19).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let digits = is_number
        .then(|| std::str::from_utf8(value).ok())
        .flatten()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in fields {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        headers
    }

    fn statuses(written: &str) -> Option<Statuses> {
        let json = Json::parse(written.as_bytes(), 4).unwrap();
        Statuses::read(&Node::root(&json), &mut Problems::default())
    }

    #[test]
    fn a_list_has_what_is_written() {
        let some = statuses(r#"[401, 403, "5xx"]"#).unwrap();
        for status in 0..=1000 {
            let expected = matches!(status, 401 | 403 | 500..=599);
            assert_eq!(some.has(status), expected, "{status}");
        }
        let all = statuses(r#"["2xx", "3xx", "4xx", "5xx"]"#).unwrap();
        for status in 0..=1000 {
            assert_eq!(all.has(status), (200..=599).contains(&status), "{status}");
        }
        for none in ["[]", "[199]", "[600]", r#"["1xx"]"#, r#"["401"]"#, "401"] {
            assert_eq!(statuses(none), None, "{none}");
        }
    }

    #[test]
    fn the_head_says_how_it_ended_or_when_that_comes() {
        let of = |fields: &[(&str, &str)]| Learned::of_head(&headers(fields));
        let grpc = ("content-type", "application/grpc+proto");
        assert_eq!(of(&[(":status", "401")]), Learned::Status(401));
        assert_eq!(of(&[(":status", "200"), grpc]), Learned::Later);
        assert_eq!(of(&[(":status", "503"), grpc]), Learned::Status(503));
        let only_trailers = [(":status", "200"), grpc, ("grpc-status", "16")];
        assert_eq!(of(&only_trailers), Learned::Status(401));
        for in_body in [
            "application/grpc-web",
            "Application/gRPC-Web+proto",
            "application/grpc-web-text",
            "application/connect+json",
        ] {
            let in_body = ("content-type", in_body);
            let head = [(":status", "200"), in_body];
            assert_eq!(of(&head), Learned::Nothing, "{in_body:?}");
            let head = [head[0], in_body, ("grpc-status", "16")];
            assert_eq!(of(&head), Learned::Status(401), "{in_body:?}");
            assert_eq!(of(&[(":status", "403"), in_body]), Learned::Status(403));
        }
        let of_http = ("content-type", "application/connect");
        assert_eq!(of(&[(":status", "200"), of_http]), Learned::Status(200));
        assert_eq!(of(&[]), Learned::Nothing);
        let trailers = |fields: &[(&str, &str)]| Learned::of_trailers(&headers(fields));
        assert_eq!(trailers(&[("grpc-status", "7")]), Learned::Status(403));
        assert_eq!(trailers(&[("grpc-status", "x")]), Learned::Status(500));
        let two = [("grpc-status", "0"), ("grpc-status", "16")];
        assert_eq!(trailers(&two), Learned::Nothing);
        assert_eq!(trailers(&[]), Learned::Nothing);
    }

    /// What this filter answers with, it would read so.
    #[test]
    fn statuses_of_grpc_are_those_of_our_own_refusals() {
        for code in crate::codes() {
            let status = of_grpc(code.grpc_status.to_string().as_bytes());
            if [401, 403, 429].contains(&code.status) {
                assert_eq!(status, u64::from(code.status), "{}", code.name);
            }
        }
    }

    /// By credentials that were refused, and by none that were not sent.
    #[test]
    fn refused_credentials_are_charged() {
        let mut every = Statuses::default();
        (FIRST..=LAST).for_each(|status| every.add(status));
        let mut charged = Vec::new();
        for reason in crate::codes().flat_map(|code| code.reasons) {
            let refusal = Refusal::new(reason);
            for by in [Some("jwt"), Some("payload"), None] {
                let is_by_jwt = by == Some("jwt") && reason.code.name.starts_with("jwt_");
                let of_status = ChargedOn::Response(every).counts_refusal(&refusal, by);
                assert!(!ChargedOn::Request.counts_refusal(&refusal, by));
                if is_by_jwt {
                    let tried = reason.name != "missing";
                    let of_refusal = ChargedOn::Refusal.counts_refusal(&refusal, by);
                    assert_eq!(of_refusal, tried && reason.code.status == 401, "{reason:?}");
                    assert_eq!(of_status, tried, "{reason:?}");
                    charged.extend(of_refusal.then_some(reason.name));
                } else if by != Some("jwt") {
                    assert!(!of_status, "{reason:?}");
                }
            }
        }
        assert_eq!(charged.len(), 21, "{charged:?}");
    }
}
