//! Explanations: what the filter made of a request, told in the response to callers who may ask.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use crate::access_log::detail;
use crate::access_log::detail::Parameters;
use crate::access_log::errors;
use crate::access_log::time::rfc3339;
use crate::record::{Decision, PolicyVerdict};
use portcullis_document::header::read_claimed;
use portcullis_document::{Node, Problems};
use portcullis_exchange::exchange::{Edit, Facts};
use portcullis_exchange::host::Host;
use portcullis_exchange::lifecycle::RequestVersion;
use portcullis_exchange::refusal::{Detail, ErrorProtocol, Reason};
use portcullis_exchange::section::{Reading, Section};
use portcullis_schema::Violation;
use portcullis_wire::address::Range;
use portcullis_wire::headers::{HeaderName, HeaderValue, Headers};

/// `explain`: who may ask, and how.
#[derive(Debug)]
pub struct Explain {
    header: HeaderName,
    secret: Option<[u8; 32]>,
    addresses: Vec<Range>,
    answer: HeaderName,
}

/// A request that has been judged, as far as it is told.
#[derive(Debug)]
pub struct JudgedRequest<'j> {
    /// When it came, since the epoch.
    pub arrived: Duration,
    /// Its fields, or those of them that are kept.
    pub headers: &'j Headers,
    /// The name of its route, if it has one.
    pub route: Option<&'j str>,
    /// The version that it is for.
    pub version: Option<&'j RequestVersion>,
    /// What the policies said that were asked.
    pub asked: &'j [(&'static str, PolicyVerdict)],
    /// How long each of them took.
    pub times: &'j [(&'static str, Duration)],
    /// What became of it.
    pub record: &'j Decision,
}

/// The field of the response.
const RESPONSE_FIELD: &str = "x-portcullis-explain";

/// A secret has at least so many bytes; a shorter one is wrong even if its hash is right.
const SHORTEST_SECRET: usize = 32;

impl Explain {
    /// Reads the block.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let header = fields.required("header", problems);
        let header = header.and_then(|node| read_claimed(&node, problems));
        let secret = fields.or_default("secret_sha256", None, problems, |node, problems| {
            let hash = read_hash(node.text(problems)?);
            if hash.is_none() {
                node.report(
                    problems,
                    "must be the SHA-256 of the secret, 64 hexadecimal digits",
                );
            }
            hash.map(Some)
        });
        let addresses = fields.or_default("addresses", Vec::new(), problems, |node, problems| {
            node.list(problems, |item, problems| {
                let range = Range::parse(item.text(problems)?);
                if range.is_none() {
                    item.report(
                        problems,
                        "must be an address, or a range such as \"10.0.0.0/8\" without bits behind its prefix",
                    );
                }
                range
            })
        });
        let (header, secret, addresses) = (header?, secret?, addresses?);
        if secret.is_none() && addresses.is_empty() {
            problems.report(
                fields.pointer(),
                "says nothing of who may ask: add `secret_sha256`, or `addresses`",
            );
            return None;
        }
        fields.deny_unknown(problems);
        Some(Self {
            header,
            secret,
            addresses,
            answer: HeaderName::parse(RESPONSE_FIELD).ok()?,
        })
    }

    /// The field that asks.
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// Whether a request asks for an explanation, and may.
    pub fn may_ask(&self, headers: &Headers, facts: &Facts, host: &dyn Host) -> bool {
        let Ok(Some(given)) = headers.one(self.header.as_str()) else {
            return false;
        };
        let knows = self.secret.as_ref().is_none_or(|secret| {
            let hash = hmac_sha256::Hash::hash(given);
            let differ = hash.iter().zip(secret).fold(0, |all, (a, b)| all | (a ^ b));
            differ == 0 && given.len() >= SHORTEST_SECRET
        });
        knows && (self.addresses.is_empty() || self.is_near(facts.client(host)))
    }

    fn is_near(&self, client: Option<IpAddr>) -> bool {
        client.is_some_and(|client| self.addresses.iter().any(|range| range.contains(client)))
    }

    /// The fields of the response: one for the route, one for the window in which the version is switched off, one
    /// for each policy that was asked, and one for each refusal, carried out or not.
    pub fn tell(&self, judged: &JudgedRequest<'_>) -> Vec<Edit> {
        let JudgedRequest {
            arrived,
            headers,
            route,
            version,
            asked,
            times,
            record,
        } = *judged;
        let mut edits = vec![Edit::Remove(self.answer.clone())];
        // A cache would tell it to others.
        let fresh = HeaderName::parse("cache-control").ok();
        let no_store = HeaderValue::parse(b"no-store").ok();
        edits.extend(
            fresh
                .zip(no_store)
                .map(|(name, value)| Edit::Set(name, value)),
        );
        let mut tell = |text: String| {
            // A name of a route may have bytes that no field can.
            if let Ok(value) = HeaderValue::parse(text.as_bytes()) {
                edits.push(Edit::Add(self.answer.clone(), value));
            }
        };
        let mut first = match route {
            Some(route) => format!("route={route}"),
            None => "no route".to_owned(),
        };
        if let Some(version) = version {
            if let Some(name) = version.name() {
                let _ = write!(first, "; version={name}");
            }
            let _ = write!(first, "; version_state={}", version.state.name());
        }
        let protocol = protocol(headers);
        if let Some(name) = protocol {
            let _ = write!(first, "; protocol={name}");
        }
        if let Some(Reason { name, code, .. }) = record.refusal {
            let _ = write!(first, "; code={}; reason={name}", code.name);
            if protocol.is_some() {
                let _ = write!(first, "; grpc_status={}", code.grpc_status);
            }
        }
        tell(first);
        if let Some(text) = version.and_then(|version| brownout(version, arrived)) {
            tell(text);
        }
        for (policy, said) in asked {
            let mut text = format!("policy={policy}; verdict={}", said.name());
            let mut spent = times.iter().filter(|(name, _)| name == policy).peekable();
            if spent.peek().is_some() {
                let micros = spent.map(|(_, time)| time.as_micros()).sum::<u128>();
                let _ = write!(text, "; us={micros}");
            }
            tell(text);
        }
        // The first has said all there is of one by the core.
        let of_policies = refusals(record).filter(|told| told.policy.is_some());
        for refusal in of_policies.take(MOST_REFUSALS) {
            tell(refusal.text());
        }
        edits
    }
}

impl Section for Explain {
    const NAME: &'static str = "explain";

    const MAY_BE_OFF: bool = true;

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        Self::read(node, reading.problems)
    }
}

/// The protocol of a gRPC client, for which a refusal is a `grpc-status`; none of other clients.
fn protocol(headers: &Headers) -> Option<&'static str> {
    match ErrorProtocol::of(headers, None) {
        ErrorProtocol::Http(_) => None,
        ErrorProtocol::Grpc => Some("grpc"),
        ErrorProtocol::GrpcWeb(_) => Some("grpc-web"),
    }
}

/// The window in which a version is switched off, its share, and whether the request was drawn for it.
fn brownout(version: &RequestVersion, arrived: Duration) -> Option<String> {
    let of = version.of.as_ref().filter(|_| !version.state.is_gone())?;
    let window = of.lifecycle.brownout(arrived)?;
    let drawn = match version.is_drawn {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not_asked",
    };
    let time = |seconds: u32| {
        let mut text = String::new();
        rfc3339(&mut text, Duration::from_secs(seconds.into()));
        text.replace(".000", "")
    };
    Some(format!(
        "brownout={}; from={}; until={}; percent={}; drawn={drawn}",
        of.name,
        time(window.from),
        time(window.until),
        window.percent
    ))
}

/// A refusal, as far as it is told.
struct Told<'r> {
    policy: Option<&'static str>,
    mode: &'static str,
    code: &'static str,
    reason: &'static str,
    detail: Option<&'r Detail>,
    violations: &'r [Violation],
}

/// So many refusals are told of one request: all, but for a document that tries out a lot.
const MOST_REFUSALS: usize = 16;

/// The longest text of what was found.
const LONGEST: usize = 2048;

/// What was refused, and then what shadow mode would have refused.
fn refusals(record: &Decision) -> impl Iterator<Item = Told<'_>> {
    let enforced = record.refusal.map(|reason| Told {
        policy: record.refused_by,
        mode: "enforce",
        code: reason.code.name,
        reason: reason.name,
        detail: record.detail.as_deref(),
        violations: &record.violations,
    });
    let shadow = record.shadow.iter().map(|each| Told {
        policy: each.policy,
        mode: "shadow",
        code: each.reason.code.name,
        reason: each.reason.name,
        detail: each.detail.as_deref(),
        violations: &each.violations,
    });
    enforced.into_iter().chain(shadow)
}

impl Told<'_> {
    fn text(&self) -> String {
        let Self {
            mode, code, reason, ..
        } = self;
        let by = self.policy.unwrap_or("core");
        let mut text = format!("refused_by={by}; mode={mode}; code={code}; reason={reason}");
        if let Some(detail) = self.detail {
            add(&mut text, "detail", |out| {
                detail::write(out, detail, Parameters::Shown)
            });
        }
        if !self.violations.is_empty() {
            add(&mut text, "errors", |out| {
                errors(out, self.violations);
                true
            });
        }
        text
    }
}

/// Adds JSON in ASCII, which any field can hold; nothing if it is too long.
fn add(text: &mut String, name: &str, write: impl FnOnce(&mut String) -> bool) {
    let mut json = String::new();
    if !write(&mut json) || json.len() > LONGEST {
        return;
    }
    let _ = write!(text, "; {name}=");
    let mut units = [0; 2];
    for c in json.chars() {
        if c.is_ascii() {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut units) {
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
}

fn read_hash(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    let digits = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    for (byte, place) in hash.iter_mut().zip((0..64).step_by(2)) {
        let end: usize = place + 2;
        *byte = u8::from_str_radix(text.get(place..end)?, 16).ok()?;
    }
    digits.then_some(hash)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use portcullis_exchange::lifecycle::{
        ApiVersion, Brownout, Lifecycle, VersionCounts, VersionState,
    };
    use portcullis_exchange::refusal::Fact;

    #[test]
    fn what_is_told_fits_into_a_field() {
        let told = |detail: &Detail| {
            let told = Told {
                policy: None,
                mode: "enforce",
                code: "a",
                reason: "b",
                detail: Some(detail),
                violations: &[],
            };
            told.text()
        };
        let detail = Detail::at("/é").and("x", Fact::untrusted("\u{1f600}\r\n".as_bytes()));
        let text = told(&detail);
        assert_eq!(
            text,
            r#"refused_by=core; mode=enforce; code=a; reason=b; detail={"rule":"/\u00e9","x":"\ud83d\ude00\u000d\u000a"}"#
        );
        assert!(HeaderValue::parse(text.as_bytes()).is_ok());
        let long = [b'\n'; 128];
        let full = (0..8).fold(Detail::at("/a"), |detail, _| {
            detail.and("x", Fact::untrusted(&long))
        });
        let text = told(&full);
        assert!(text.ends_with("reason=b"), "{text}");
    }

    #[test]
    fn a_window_is_told_with_its_share_and_what_was_drawn() {
        let version = |is_drawn, state| RequestVersion {
            of: Some(Rc::new(ApiVersion {
                name: "v1".into(),
                pointer: "/versions/known/v1".into(),
                lifecycle: Lifecycle {
                    brownouts: vec![Brownout::new(86_400, 90_000, 20)],
                    ..Lifecycle::default()
                },
                counts: VersionCounts::default(),
            })),
            state,
            is_drawn,
        };
        let at = |seconds, is_drawn, state| {
            brownout(&version(is_drawn, state), Duration::from_secs(seconds))
        };
        let told = |drawn: &str| {
            Some(format!(
                "brownout=v1; from=1970-01-02T00:00:00Z; until=1970-01-02T01:00:00Z; percent=20; drawn={drawn}"
            ))
        };
        let current = VersionState::Current;
        assert_eq!(at(86_400, Some(true), current), told("yes"));
        assert_eq!(at(89_999, Some(false), current), told("no"));
        assert_eq!(at(89_999, None, current), told("not_asked"));
        assert_eq!(at(90_000, None, current), None);
        assert_eq!(at(86_400, None, VersionState::Removed), None);
    }
}
