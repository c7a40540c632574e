//! Records of requests on plans, from pieces that are prepared: what the document decides when
//! it is compiled, what a token decides when it is first seen. What comes from the request is written by
//! the functions that write it without plans.

use std::rc::Rc;
use std::time::Duration;

use super::finished::Finished;
use super::line::JsonLine;
use super::member::Member;
use super::name::{Convention, ECS_VERSION};
use super::pieces::{Number, Piece, Seldom, ShownText};
use super::planned_line::{Around, Key};
use super::sample::{SampleRate, Sampled};
use super::{AccessLog, verdict};
use crate::record::{Ending, Summary, Verdicts};
use portcullis_exchange::host::Host;
use portcullis_exchange::plan::Slot;
use portcullis_exchange::principal::Principal;
use portcullis_exchange::refusal::{Claimed, Refusal};

pub use super::pieces::{PlannedExchange, Prepared};

/// What records of one route have in common.
pub struct Common<'c> {
    /// Its name; none of requests that no route is for.
    pub route: Option<&'c str>,
    /// Why they were refused, if they were, and by which policy.
    pub refusal: Option<(WrittenRefusal<'c>, Option<&'static str>)>,
    /// What its policies say of such requests.
    pub verdicts: &'c Verdicts,
    /// The name of its limit.
    pub limit: Option<&'c str>,
}

/// Why requests are refused.
#[derive(Clone, Copy, Debug)]
pub enum WrittenRefusal<'c> {
    /// All for the same reason.
    Same(&'c Refusal),
    /// Each for its own.
    Own,
}

/// The fields that records show, in the slots that plans have for them.
#[derive(Clone, Copy, Debug)]
pub struct Shown;

impl Shown {
    /// `:method`
    pub const METHOD: Slot = Slot(0);
    /// `:scheme`
    pub const SCHEME: Slot = Slot(1);
    /// `:authority`
    pub const AUTHORITY: Slot = Slot(2);
    /// `:path`
    pub const PATH: Slot = Slot(3);
    /// `x-request-id`
    pub const REQUEST_ID: Slot = Slot(4);
    /// `traceparent`
    pub const TRACE: Slot = Slot(5);
    /// `user-agent`
    pub const USER_AGENT: Slot = Slot(6);
    /// Their names, in order.
    pub const NAMES: [&'static str; 7] = [
        ":method",
        ":scheme",
        ":authority",
        ":path",
        "x-request-id",
        "traceparent",
        "user-agent",
    ];
}

/// Pieces in the making: texts that follow one another are one.
struct Pieces {
    done: Vec<Piece>,
    text: JsonLine,
}

impl Pieces {
    /// A piece for a member. None where that would be the first: it is written with a comma.
    fn push(&mut self, name: &'static str, piece: Piece) -> Option<()> {
        if let Piece::Date = piece {
            self.text.quote_next(name);
        }
        self.end_text();
        (!self.done.is_empty()).then_some(())?;
        self.done.push(piece);
        Some(())
    }

    fn end_text(&mut self) {
        let text = std::mem::replace(&mut self.text, JsonLine::unbounded(String::new()));
        let text = text.into_text();
        if !text.is_empty() {
            self.done.push(Piece::Text(text.into()));
        }
    }
}

fn own(line: &mut JsonLine, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        line.trusted(name, value);
    }
}

impl Common<'_> {
    fn ending(&self) -> Ending {
        match self.refusal {
            None => Ending::Allowed,
            Some(_) => Ending::Denied,
        }
    }

    /// Why all of them were refused, if they were, for the same reason.
    fn refusal(&self) -> Option<&Refusal> {
        match self.refusal {
            Some((WrittenRefusal::Same(refusal), _)) => Some(refusal),
            Some((WrittenRefusal::Own, _)) | None => None,
        }
    }

    /// The piece of what each was refused for, if that is not the same for all.
    fn own(&self, key: &Key, piece: Seldom) -> Option<Piece> {
        let is_own = matches!(self.refusal, Some((WrittenRefusal::Own, _)));
        is_own.then(|| Piece::Seldom(key.clone(), piece))
    }
}

impl AccessLog {
    /// The record of requests on the plan of a route that end in one way; none if it shows something that is not
    /// prepared.
    pub fn prepare(&self, common: &Common<'_>) -> Option<Prepared> {
        let ending = Sampled::Ending(common.ending());
        let share = self.shares.iter().find(|(each, _)| *each == ending);
        let keeps_all = share.is_none_or(|(_, share)| *share == SampleRate::ALL);
        let adds = !self.claims.is_empty() || !self.headers.is_empty() || self.roles;
        if !keeps_all || adds {
            return None;
        }
        let mut pieces = Pieces {
            done: Vec::new(),
            text: JsonLine::unbounded("{".to_owned()),
        };
        let key = |(name, member): &(&str, &Member)| Key::of(name, self.around(member));
        let named = || self.members.iter().map(key).collect();
        let keys = self.keys.get_or_init(named);
        for ((name, member), key) in self.members.iter().zip(keys) {
            self.prepare_member((name, key), member, common, &mut pieces)?;
        }
        pieces.end_text();
        Some(Prepared {
            pieces: pieces.done.into(),
            longest: self.longest,
        })
    }

    /// What stands around the value of a member.
    fn around(&self, member: &Member) -> Around {
        let is_field = member.otel() == Some("http.request.header.x-request-id");
        match self.schema {
            Convention::OpenTelemetry if is_field => Around::List,
            Convention::OpenTelemetry | Convention::Elastic => Around::Quotes,
        }
    }

    fn prepare_member(
        &self,
        (name, key): (&'static str, &Key),
        member: &'static Member,
        common: &Common<'_>,
        pieces: &mut Pieces,
    ) -> Option<()> {
        let text = &mut pieces.text;
        let own_key = || key.clone();
        let shown = |source| Some(Piece::Shown(own_key(), self.around(member), source));
        let number = |number| Some(Piece::Number(own_key(), number));
        let piece = match member.otel().or(member.ecs())? {
            "timestamp" => Some(Piece::Date),
            "event.name" => {
                text.trusted(name, "portcullis.access");
                None
            }
            "ecs.version" => {
                text.trusted(name, ECS_VERSION);
                None
            }
            "event.kind" => {
                text.trusted(name, "event");
                None
            }
            "event.outcome" => {
                let outcome = match common.refusal {
                    None => "success",
                    Some(_) => "failure",
                };
                text.trusted(name, outcome);
                None
            }
            "portcullis.outcome" => {
                text.trusted(name, common.ending().name());
                None
            }
            "portcullis.route" => {
                own(text, name, common.route);
                None
            }
            "portcullis.policy" => {
                own(text, name, common.refusal.and_then(|(_, policy)| policy));
                None
            }
            "portcullis.code" => {
                let refusal = common.refusal();
                own(text, name, refusal.map(|refusal| refusal.code().name));
                common.own(key, Seldom::Code)
            }
            "portcullis.reason" => {
                let refusal = common.refusal();
                own(text, name, refusal.map(|refusal| refusal.reason.name));
                common.own(key, Seldom::Reason)
            }
            "portcullis.detail" => {
                let refusal = common.refusal();
                if let Some(detail) = refusal.and_then(|refusal| refusal.detail.as_ref()) {
                    text.detail(name, detail, self.parameters());
                }
                common.own(key, Seldom::Detail)
            }
            "portcullis.verdicts" => {
                if !common.verdicts.is_empty() {
                    text.structure(name, |out| verdict::verdicts(out, common.verdicts));
                }
                None
            }
            "http.request.header.x-request-id" => shown(ShownText::Field(Shown::REQUEST_ID)),
            "trace_id" => shown(ShownText::TraceId),
            "parent_span_id" => shown(ShownText::ParentId),
            "http.request.method" => shown(ShownText::Field(Shown::METHOD)),
            "url.scheme" => shown(ShownText::Field(Shown::SCHEME)),
            "user_agent.original" => shown(ShownText::Field(Shown::USER_AGENT)),
            "server.address" => shown(ShownText::HostName),
            "url.path" => Some(Piece::Path(own_key())),
            "url.query" => Some(Piece::Seldom(own_key(), Seldom::Query)),
            "user.id" => Some(Piece::Words),
            _ if is_word(member) => None,
            "portcullis.rate_limit.name" => {
                if let Some(limit) = common.limit {
                    text.trusted(name, limit);
                }
                None
            }
            "portcullis.rate_limit.remaining" => number(Number::Remaining),
            "portcullis.duration_us" => number(Number::Duration),
            "portcullis.filter_us" => number(Number::Judging),
            "http.response.status_code" => number(Number::Status),
            "client.address" => Some(Piece::Address(own_key())),
            _ if member.attribute().is_some() => {
                Some(Piece::Seldom(own_key(), Seldom::Proxy(member)))
            }
            // A document whose records have roles has no prepared ones; a request on a plan has none of the others.
            "portcullis.version"
            | "portcullis.version_state"
            | "user.roles"
            | "portcullis.errors"
            | "portcullis.waited_us"
            | "portcullis.shadow"
            | "portcullis.redacted"
            | "portcullis.unjudged"
            | "portcullis.rollout"
            | "portcullis.claim.<claim>"
            | "http.request.header.<name>"
            | super::line::CUT => None,
            // A member that is new here: documents with it have no prepared records until it has its piece.
            _ => return None,
        };
        match piece {
            Some(piece) => pieces.push(name, piece),
            None => Some(()),
        }
    }

    /// What records say of a token, of whose it is if it was accepted or of what it claims if it was not:
    /// members with a comma in front of each. None if that is long.
    pub fn words(
        &self,
        principal: Option<&Principal>,
        claimed: Option<&Claimed>,
        host: &dyn Host,
    ) -> Option<Rc<str>> {
        const LONGEST: usize = 1 << 10;
        let (headers, facts, record) = Default::default();
        let exchange = Summary {
            headers: &headers,
            facts: &facts,
            record: &record,
            verdicts: Verdicts::default(),
            ending: Ending::Denied,
            route: None,
            route_name: None,
            started: None,
            began: None,
            judging: None,
            waited: Duration::ZERO,
        };
        let of = Finished {
            log: self,
            exchange: &exchange,
            headers: &headers,
            host,
            request_id: None,
            trace: None,
            written: Duration::ZERO,
            elapsed: None,
            principal,
            claimed: claimed.filter(|_| self.shows_claimed()),
            limit: None,
        };
        let mut line = JsonLine::unbounded(String::new());
        for (name, member) in &self.members {
            if is_word(member) {
                member.write(&mut line, name, &of);
            }
        }
        let words = line.into_text();
        (words.len() <= LONGEST).then(|| words.into())
    }
}

/// Whether a member tells of the token: these follow one another, and are all among the words.
fn is_word(member: &Member) -> bool {
    let name = member.otel().or(member.ecs()).unwrap_or_default();
    let of_accepted = [
        "user.id",
        "user.hash",
        "portcullis.issuer",
        "portcullis.provider",
        "portcullis.credential",
    ];
    of_accepted.contains(&name) || name.starts_with("portcullis.claimed.")
}
