//! Masks, takes out or refuses what a service tells too much of in its responses.

mod head;
mod read;
pub mod refusals;
mod rules;

use std::rc::Rc;

use self::head::describing;
use self::read::{
    SearchedStatuses, read_most, read_rules, read_statuses, read_types, read_unjudged,
};
use self::refusals::{JSON, SENSITIVE, SIZE, STREAM, UNJUDGED, event, reason};
use self::rules::SearchRules;
use crate::HAS_FORMATS;
use crate::payload::untold::begins_like_json;
use portcullis_document::{Fields, LeftOut};
use portcullis_exchange::body::{BodyNeed, Inspection, NoBytes, ResponseBody};
use portcullis_exchange::exchange::{
    Author, BodyState, Edit, Exchange, Facts, Response, ResponseSearch, SearchWay,
};
use portcullis_exchange::host::Host;
use portcullis_exchange::media_type::MediaRange;
use portcullis_exchange::meter::Event;
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, Stage, Verdict,
};
use portcullis_exchange::refusal::core::NO_MEMORY;
use portcullis_exchange::refusal::{Disclosure, Reason, Refusal, Selector};
use portcullis_exchange::rewrite::{FoundInBody, Rewrite};
use portcullis_formats::sensitive::{Findings, Kind, Rewritten, redact_json, redact_text};
use portcullis_schema::Violation;
use portcullis_wire::headers::{HeaderName, HeaderValue};
use portcullis_wire::json_gate::{Fault, Limits};

/// `responses: { redact, forbid, statuses, types, … }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "responses",
    role: Role::Guards,
    codes: &[&SENSITIVE, &UNJUDGED],
    compile: Compile::Shadowed(compile),
    rules: &[
        (Selector::Code(&SENSITIVE), "forbid"),
        (Selector::Reason(&SIZE), "oversized"),
        (Selector::Reason(&STREAM), "streams"),
        (Selector::Code(&UNJUDGED), "unreadable"),
    ],
};

/// What is read of a response.
const LIMITS: Limits = Limits {
    depth: 128,
    values: 100_000,
    ..Limits::GENEROUS
};

/// What becomes of a response that cannot be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unjudged {
    /// It passes as it is, and that is noted.
    Pass,
    /// It is refused.
    Refuse,
}

/// Searches responses for what may not be told.
struct ResponseRules {
    rules: SearchRules,
    /// Any, if there are none.
    statuses: Vec<SearchedStatuses>,
    types: Vec<MediaRange>,
    most: u64,
    oversized: Unjudged,
    unreadable: Unjudged,
    streams: Unjudged,
    inspection: Inspection,
    /// Where `forbid` stands in the document.
    forbid: Rc<str>,
    /// What asks the service for responses that cannot be read.
    encoding: Rc<[Edit]>,
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    if !HAS_FORMATS {
        context.problems.report(fields.pointer(), LeftOut::FORMATS);
        return None;
    }
    let problems = &mut *context.problems;
    let rules = read_rules(fields, problems);
    let statuses = read_statuses(fields, problems);
    let types = read_types(fields, rules.as_ref(), problems);
    let most = read_most(fields, problems);
    let oversized = fields.or_default("oversized", Unjudged::Refuse, problems, read_unjudged);
    let unreadable = fields.or_default("unreadable", Unjudged::Refuse, problems, read_unjudged);
    let streams = fields.or_default("streams", Unjudged::Refuse, problems, read_unjudged);
    // Or a client could choose to get what cannot be read.
    let names = ["accept-encoding", "range"].map(HeaderName::parse);
    let policy = ResponseRules {
        rules: rules?,
        statuses: statuses?,
        types: types?,
        most: most?,
        oversized: oversized?,
        unreadable: unreadable?,
        streams: streams?,
        inspection: context.inspection,
        forbid: fields.pointer().member("forbid").to_string().into(),
        encoding: names.into_iter().flatten().map(Edit::Remove).collect(),
    };
    Some(ChainPart::only(Stage::Response, policy))
}

impl ResponseRules {
    /// What becomes of a response that cannot be searched for that reason.
    fn unjudged(&self, why: &Reason) -> Unjudged {
        if *why == SIZE {
            self.oversized
        } else if *why == STREAM {
            self.streams
        } else {
            self.unreadable
        }
    }

    /// A response that cannot be searched.
    fn give_up(
        &self,
        why: &'static Reason,
        facts: &mut Facts,
        host: &dyn Host,
    ) -> Result<Option<Rewrite>, Refusal> {
        host.count(Event::ResponseUnjudged.counter());
        match self.unjudged(why) {
            Unjudged::Refuse => Err(Refusal::new(why)),
            Unjudged::Pass => {
                facts.seldom_mut().response_unjudged = Some(why);
                Ok(None)
            }
        }
    }

    /// Searches a body of which all has come.
    fn search(
        &self,
        bytes: &[u8],
        search: ResponseSearch,
        facts: &mut Facts,
        host: &dyn Host,
    ) -> Result<Option<Rewrite>, Refusal> {
        let mut findings = Findings::default();
        let SearchRules { members, kinds } = &self.rules;
        let (prefix, text) = match search.way {
            SearchWay::Text => (&b""[..], bytes),
            _ => split_prefix(bytes),
        };
        let json = match search.way {
            SearchWay::Text => None,
            _ => Some(redact_json(text, &LIMITS, members, kinds, &mut findings)),
        };
        let is_json = matches!(json, Some(Ok(_)));
        let rewritten = match (json, search.way) {
            (Some(Ok(rewritten)), _) => rewritten,
            (Some(Err(Fault::Memory)), _) => return Err(Refusal::new(&NO_MEMORY)),
            (Some(Err(_)), SearchWay::Untold) if !begins_like_json(text) => {
                plain(bytes, &self.rules, &mut findings)?
            }
            (Some(Err(_)), _) => return self.give_up(&JSON, facts, host),
            (None, _) => plain(bytes, &self.rules, &mut findings)?,
        };
        for kind in Kind::ALL {
            let found = findings
                .count(kind)
                .saturating_add(findings.forbidden(kind));
            if found > 0 {
                host.count_many(event(kind).counter(), found.into());
            }
        }
        if let Some(kind) = findings.first_forbidden() {
            return Err(self.forbidden(kind, findings));
        }
        let Some(mut rewritten) = rewritten else {
            return Ok(None);
        };
        if is_json && rewritten.begin_with(prefix).is_err() {
            return Err(Refusal::new(&NO_MEMORY));
        }
        Ok(Some(self.rewrite(rewritten, search, findings)))
    }

    /// A response that has what is forbidden.
    fn forbidden(&self, kind: Kind, findings: Findings) -> Refusal {
        let places = findings.places.into_iter();
        let violations = places.map(|(kind, instance)| Violation {
            instance,
            keyword: kind.name(),
            schema: self.forbid.as_ref().to_owned(),
        });
        Refusal::new(reason(kind)).with_violations(violations.collect(), Disclosure::CodeOnly)
    }

    fn rewrite(&self, rewritten: Rewritten, search: ResponseSearch, findings: Findings) -> Rewrite {
        let (body, memory) = rewritten.into_parts();
        let counts = Kind::ALL.map(|kind| (kind.name(), findings.count(kind)));
        let places = findings.places.into_iter();
        // Where the head has gone ahead, it has been changed before.
        let mut edits = match self.inspection {
            Inspection::Stream => Vec::new(),
            Inspection::HoldHeaders => search.edits,
        };
        let length = body.len().to_string();
        let name = HeaderName::parse("content-length").ok();
        let length = name.zip(HeaderValue::parse(length.as_bytes()).ok());
        if let (Some((name, length)), true, Inspection::HoldHeaders) =
            (length, search.has_length, self.inspection)
        {
            edits.push(Edit::Set(name, length));
        }
        Rewrite {
            edits,
            trailers: head::of_trailers(),
            body,
            memory,
            found: FoundInBody {
                counts: counts.into_iter().filter(|(_, count)| *count > 0).collect(),
                places: places.map(|(kind, place)| (kind.name(), place)).collect(),
            },
        }
    }

    fn judge(
        &self,
        body: &mut ResponseBody<'_>,
        host: &dyn Host,
    ) -> Result<Option<Rewrite>, Refusal> {
        let seldom = body.facts.seldom();
        let way = seldom.and_then(|seldom| Some(seldom.response_search.as_ref()?.way));
        match way {
            None => return Ok(None),
            Some(SearchWay::Unjudged(why)) => return self.give_up(why, body.facts, host),
            Some(SearchWay::Json | SearchWay::Text | SearchWay::Untold) => {}
        }
        if body.progress.size > self.most {
            return self.give_up(&SIZE, body.facts, host);
        }
        if body.progress.state == BodyState::Open || body.progress.size == 0 {
            return Ok(None);
        }
        match body.bytes() {
            Ok(bytes) => match body.facts.seldom_mut().response_search.take() {
                Some(search) => self.search(bytes, search, body.facts, host),
                None => Ok(None),
            },
            Err(NoBytes::TooMany) => self.give_up(&SIZE, body.facts, host),
            // There is nothing to say yet, and of the other the stream takes care.
            Err(NoBytes::Incomplete | NoBytes::Unavailable) => Ok(None),
        }
    }
}

/// What some services write before JSON, so that no page can run it as a script.
const PREFIXES: [&[u8]; 6] = [
    b")]}',",
    b")]}'",
    b"while(1);",
    b"while (1);",
    b"for(;;);",
    b"for (;;);",
];

/// A prefix that is none of the JSON behind it, and that.
fn split_prefix(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut prefixes = PREFIXES.iter().filter(|prefix| bytes.starts_with(prefix));
    let length = prefixes.next().map_or(0, |prefix| prefix.len());
    bytes.split_at_checked(length).unwrap_or((&[], bytes))
}

fn plain(
    bytes: &[u8],
    rules: &SearchRules,
    findings: &mut Findings,
) -> Result<Option<Rewritten>, Refusal> {
    let redacted = redact_text(bytes, &rules.kinds, findings);
    redacted.map_err(|_| Refusal::new(&NO_MEMORY))
}

impl Policy for ResponseRules {
    fn declares(&self) -> Declaration {
        Declaration {
            reads_response: true,
            later_request_fields: &[":method"],
            ..Declaration::default()
        }
    }

    fn check_request(&self, exchange: &mut Exchange<'_>, _host: &dyn Host) -> Verdict {
        exchange
            .edits
            .push(Edit::Prepared(Rc::clone(&self.encoding)));
        Verdict::Pass
    }

    fn edit_response(&self, response: &mut Response<'_>, _host: &dyn Host) {
        // Where another body has been put in its place, that says nothing of the service's.
        if response.author != Author::Upstream || response.body.is_some() {
            return;
        }
        let Some(way) = self.way(response) else {
            return;
        };
        let is_searched = !matches!(way, SearchWay::Unjudged(_));
        let goes_ahead = match response.rest {
            BodyState::Open => is_searched && self.inspection == Inspection::Stream,
            // What is said of a body that does not come, but would.
            BodyState::Complete => is_searched && head::speaks_of_a_body(response),
        };
        if goes_ahead {
            let edits = describing(response.headers);
            response.edits.extend(edits);
            let length = HeaderName::parse("content-length").ok();
            response.edits.extend(length.map(Edit::Remove));
        }
    }

    fn response_body_need(&self, response: &mut Response<'_>) -> Option<BodyNeed> {
        let way = self.way(response)?;
        let (need, edits) = match way {
            SearchWay::Json | SearchWay::Text | SearchWay::Untold => {
                let need = BodyNeed::Bytes { most: self.most };
                (need, describing(response.headers))
            }
            SearchWay::Unjudged(why) if self.unjudged(why) == Unjudged::Pass => {
                // It is noted with its first piece, and not held.
                (BodyNeed::Count, Vec::new())
            }
            // It is held until it is refused.
            SearchWay::Unjudged(_) => (BodyNeed::Size, Vec::new()),
        };
        let has_length = response.headers.all("content-length").next().is_some();
        response.facts.seldom_mut().response_search = Some(ResponseSearch {
            way,
            edits,
            has_length,
        });
        Some(need)
    }

    fn response_body(&self, body: &mut ResponseBody<'_>, host: &dyn Host) -> Verdict {
        match (self.judge(body, host), body.progress.state) {
            (Err(refusal), _) => Verdict::Refuse(refusal),
            (Ok(Some(rewrite)), _) => Verdict::Rewrite(Box::new(rewrite)),
            (Ok(None), BodyState::Complete) => Verdict::Pass,
            (Ok(None), BodyState::Open) if is_given_up(body.facts) => Verdict::Pass,
            (Ok(None), BodyState::Open) => Verdict::AwaitBody(body.need),
        }
    }
}

/// Whether the response has passed without being searched.
fn is_given_up(facts: &Facts) -> bool {
    facts
        .seldom()
        .is_some_and(|seldom| seldom.response_unjudged.is_some())
}
