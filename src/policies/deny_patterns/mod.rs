//! Texts that look like attempts at injection: evidence of classes of attacks, added up over a request.

mod except;
mod json;
mod place;
mod read;
mod search;
mod whereabouts;

use portcullis_detect::{self as detect, Detector, Scores, Sensitivity};
use portcullis_exchange::body::{BodyNeed, Inspection, RequestBody};
use portcullis_exchange::exchange::{BodyState, Exchange, Facts};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{Compile, Declaration, Policy, PolicyKind, Role, Verdict};
use portcullis_exchange::refusal::core::NO_MEMORY;
use portcullis_exchange::refusal::{Blame, Code, Reason, Refusal, grpc};
use portcullis_wire::budget::{self, Reservation, Share};
use portcullis_wire::headers::Headers;
use portcullis_wire::regex::Effort;

use self::except::Exception;
use self::json::LIMITS;
use self::place::{Look, SearchedPart, boundary, look};
use self::read::Own;
use self::search::Search;
use self::whereabouts::JsonStep;

/// `deny_patterns: { classes, sensitivity, patterns, in, except, … }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "deny_patterns",
    role: Role::Guards,
    codes: &[&DENIED],
    compile: Compile::Shadowed(read::compile),
    rules: &[],
};

pub static DENIED: Code = Code {
    name: "pattern_denied",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The request has a text that is not allowed.",
    reasons: &[
        &IN_PATH,
        &IN_QUERY,
        &IN_HEADERS,
        &IN_COOKIES,
        &IN_JSON,
        &IN_FORM,
        &IN_MULTIPART,
        &IN_XML,
        &IN_TEXT,
        &BODY_UNREAD,
        &EFFORT,
    ],
};

pub static IN_PATH: Reason = Reason::new("path", &DENIED, Blame::Request);
pub static IN_QUERY: Reason = Reason::new("query", &DENIED, Blame::Request);
pub static IN_HEADERS: Reason = Reason::new("headers", &DENIED, Blame::Request);
pub static IN_COOKIES: Reason = Reason::new("cookies", &DENIED, Blame::Request);
pub static IN_JSON: Reason = Reason::new("json", &DENIED, Blame::Request);
pub static IN_FORM: Reason = Reason::new("form", &DENIED, Blame::Request);
pub static IN_MULTIPART: Reason = Reason::new("multipart", &DENIED, Blame::Request);
pub static IN_XML: Reason = Reason::new("xml", &DENIED, Blame::Request);
pub static IN_TEXT: Reason = Reason::new("text", &DENIED, Blame::Request);
pub static BODY_UNREAD: Reason = Reason::new("body_unread", &DENIED, Blame::Request);
pub static EFFORT: Reason = Reason::new("effort", &DENIED, Blame::Request);

/// What is looked for, and where.
struct DenyPatterns {
    detector: Detector,
    sensitivity: Sensitivity,
    own: Vec<Own>,
    places: Vec<SearchedPart>,
    except: Vec<Exception>,
    /// How much of a body is read.
    max_bytes: u64,
    inspection: Inspection,
}

/// What was found in a head whose body is still to come.
struct HeadScores {
    scores: Scores,
    _memory: Reservation,
}

/// What patterns of the document's may cost: so much in any case, and more for more bytes and more of them.
const OWN_STEPS: u64 = 1_000_000;
const OWN_STEPS_PER_BYTE: u64 = 8;

/// How many bytes of a body there are to a text of it, as it is priced. Shorter ones cost less than they may.
const BYTES_PER_TEXT: u64 = 16;

impl Policy for DenyPatterns {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let headers = exchange.request.headers;
        let mut search = Search::new(self, self.head_effort(headers), Scores::default());
        search.head(&exchange.request);
        if let Some(verdict) = search.verdict(host) {
            return verdict;
        }
        match look(&self.places, headers) {
            None => Verdict::Pass,
            Some(_) if exchange.body == BodyState::Complete => Verdict::Pass,
            // The body cannot be waited for: the service is to ask for it.
            Some(_)
                if self.inspection == Inspection::HoldHeaders
                    && headers.all("expect").next().is_some() =>
            {
                Verdict::Refuse(Refusal::new(&BODY_UNREAD))
            }
            Some(_) => match keep(search.scores, exchange.facts) {
                Some(()) => Verdict::AwaitBody(BodyNeed::Bytes {
                    most: self.max_bytes,
                }),
                None => Verdict::Refuse(Refusal::new(&NO_MEMORY)),
            },
        }
    }

    fn declares(&self) -> Declaration {
        Declaration {
            later_request_fields: &["content-encoding", "content-type"],
            ..Declaration::default()
        }
    }

    fn request_body(&self, body: &mut RequestBody<'_>, host: &dyn Host) -> Verdict {
        let (look, size) = (look(&self.places, body.request), body.progress.size);
        if size > self.max_bytes || (size > 0 && look == Some(Look::Unread)) {
            return Verdict::Refuse(Refusal::new(&BODY_UNREAD));
        }
        if body.progress.state == BodyState::Open {
            return Verdict::AwaitBody(body.need);
        }
        // A text is decoded, taken apart and lowered, which may be three copies of it, and patterns of the
        // document's read it as UTF-8, which may make it three times as long.
        const COPIES: u64 = 7;
        let steps = size_of::<JsonStep<'_>>().saturating_mul(LIMITS.depth.saturating_mul(2));
        let copies = usize::try_from(size.saturating_mul(COPIES)).unwrap_or(usize::MAX);
        let Some(_memory) = budget::reserve(Share::Bodies, copies.saturating_add(steps)) else {
            return Verdict::Refuse(Refusal::new(&NO_MEMORY));
        };
        let (Some(look), Ok(bytes)) = (look, body.bytes()) else {
            return Verdict::Pass;
        };
        let Some(place) = place::place(&self.places, look, bytes) else {
            return Verdict::Pass;
        };
        let effort = self.effort(size, size / BYTES_PER_TEXT);
        let mut search = Search::new(self, effort, kept(body.facts));
        search.body(place, bytes, boundary(body.request).as_deref());
        search.verdict(host).unwrap_or(Verdict::Pass)
    }
}

impl DenyPatterns {
    /// What it may cost to look through so many bytes of so many texts.
    fn effort(&self, bytes: u64, texts: u64) -> Effort {
        let steps = detect::allowance(bytes, texts.saturating_add(1));
        let each = u64::try_from(self.own.len()).unwrap_or(u64::MAX);
        let own = match each {
            0 => 0,
            each => {
                let each = each.saturating_mul(OWN_STEPS_PER_BYTE);
                bytes.saturating_mul(each).saturating_add(OWN_STEPS)
            }
        };
        let except = u64::try_from(self.except.len()).unwrap_or(u64::MAX);
        let except = except.saturating_mul(bytes.saturating_add(1));
        Effort::new(steps.saturating_add(own).saturating_add(except))
    }

    fn head_effort(&self, headers: &Headers) -> Effort {
        let (mut bytes, mut texts) = (0, 0_u64);
        for (_, value) in headers.iter() {
            bytes = value.len().saturating_add(bytes);
            texts = texts.saturating_add(1);
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.effort(bytes, texts.saturating_add(bytes / BYTES_PER_TEXT))
    }
}

/// Keeps what was found in a head until its body has come; none if there is no memory for that.
fn keep(scores: Scores, facts: &mut Facts) -> Option<()> {
    let is_kept = facts
        .seldom()
        .is_some_and(|seldom| seldom.evidence.is_some());
    if scores.each().next().is_none() {
        if is_kept {
            facts.seldom_mut().evidence = None;
        }
        return Some(());
    }
    let memory = budget::reserve(Share::Streams, size_of::<HeadScores>())?;
    facts.seldom_mut().evidence = Some(Box::new(HeadScores {
        scores,
        _memory: memory,
    }));
    Some(())
}

/// What was found in the head.
fn kept(facts: &Facts) -> Scores {
    let kept = facts.seldom().and_then(|seldom| seldom.evidence.as_ref());
    let kept = kept.and_then(|kept| kept.downcast_ref::<HeadScores>());
    kept.map_or(Scores::default(), |kept| kept.scores)
}
