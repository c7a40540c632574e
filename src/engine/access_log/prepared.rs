//! Records of requests on plans, from pieces that are prepared: what the document decides when
//! it is compiled, what a token decides when it is first seen. What comes from the request is written by
//! the functions that write it without plans.

use std::rc::Rc;
use std::time::Duration;

use super::finished::Finished;
use super::line::JsonLine;
use super::member::Member;
use super::name::{Convention, ECS_VERSION};
use super::sample::{SampleRate, Sampled};
use super::time::{rfc3339, without_port};
use super::trace::Trace;
use super::{AccessLog, verdict};
use crate::record::{Ending, Summary, Verdicts};
use portcullis_exchange::connection::Connection;
use portcullis_exchange::host::Host;
use portcullis_exchange::meter::micros;
use portcullis_exchange::plan::{Fields, Slot};
use portcullis_exchange::principal::Principal;
use portcullis_exchange::refusal::{Claimed, Detail, Reason, Refusal};

/// A record with places for what is known of one request.
#[derive(Debug)]
pub struct Prepared {
    pieces: Box<[Piece]>,
    longest: usize,
}

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

/// What is known of one request.
pub struct PlannedExchange<'k> {
    /// What it asked.
    pub fields: &'k Fields,
    /// The host that it named, in its one spelling.
    pub host_name: &'k str,
    /// What the token says for records: [`AccessLog::words`].
    pub words: &'k str,
    /// Why it was refused, if it was.
    pub reason: Option<&'static Reason>,
    /// Which rule it did not meet, and in what way.
    pub detail: Option<&'k Detail>,
    /// How much more of its limit it may ask.
    pub remaining: Option<u64>,
    /// When the record is written.
    pub written: Duration,
    /// How long it took.
    pub elapsed: Option<Duration>,
    /// How long of that it was judged.
    pub judging: Option<Duration>,
    /// What is known of the client's connection.
    pub connection: &'k Connection,
    /// The proxy.
    pub host: &'k dyn Host,
}

#[derive(Debug)]
enum Piece {
    Text(Box<str>),
    /// The date, between quotation marks.
    Date,
    RequestId(&'static str, Convention),
    TraceId(&'static str),
    ParentId(&'static str),
    Field(&'static str, Slot),
    HostName(&'static str),
    Path(&'static str),
    Query(&'static str),
    /// All members that tell of the token.
    Words,
    Code(&'static str),
    Reason(&'static str),
    Detail(&'static str),
    Remaining(&'static str),
    Duration(&'static str),
    Judging(&'static str),
    Proxy(&'static str, &'static Member),
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
    fn push(&mut self, piece: Piece) {
        self.end_text();
        self.done.push(piece);
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
    fn own(&self, piece: Piece) -> Option<Piece> {
        matches!(self.refusal, Some((WrittenRefusal::Own, _))).then_some(piece)
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
        for (name, member) in &self.members {
            self.prepare_member(name, member, common, &mut pieces)?;
        }
        pieces.end_text();
        Some(Prepared {
            pieces: pieces.done.into(),
            longest: self.longest,
        })
    }

    fn prepare_member(
        &self,
        name: &'static str,
        member: &'static Member,
        common: &Common<'_>,
        pieces: &mut Pieces,
    ) -> Option<()> {
        let text = &mut pieces.text;
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
                common.own(Piece::Code(name))
            }
            "portcullis.reason" => {
                let refusal = common.refusal();
                own(text, name, refusal.map(|refusal| refusal.reason.name));
                common.own(Piece::Reason(name))
            }
            "portcullis.detail" => {
                let refusal = common.refusal();
                if let Some(detail) = refusal.and_then(|refusal| refusal.detail.as_ref()) {
                    text.detail(name, detail, self.parameters());
                }
                common.own(Piece::Detail(name))
            }
            "portcullis.verdicts" => {
                if !common.verdicts.is_empty() {
                    text.structure(name, |out| verdict::verdicts(out, common.verdicts));
                }
                None
            }
            "http.request.header.x-request-id" => Some(Piece::RequestId(name, self.schema)),
            "trace_id" => Some(Piece::TraceId(name)),
            "parent_span_id" => Some(Piece::ParentId(name)),
            "http.request.method" => Some(Piece::Field(name, Shown::METHOD)),
            "url.scheme" => Some(Piece::Field(name, Shown::SCHEME)),
            "user_agent.original" => Some(Piece::Field(name, Shown::USER_AGENT)),
            "server.address" => Some(Piece::HostName(name)),
            "url.path" => Some(Piece::Path(name)),
            "url.query" => Some(Piece::Query(name)),
            "user.id" => Some(Piece::Words),
            _ if is_word(member) => None,
            "portcullis.rate_limit.name" => {
                if let Some(limit) = common.limit {
                    text.trusted(name, limit);
                }
                None
            }
            "portcullis.rate_limit.remaining" => Some(Piece::Remaining(name)),
            "portcullis.duration_us" => Some(Piece::Duration(name)),
            "portcullis.filter_us" => Some(Piece::Judging(name)),
            _ if member.attribute().is_some() => Some(Piece::Proxy(name, member)),
            // A request on a plan has none of these.
            "portcullis.errors"
            | "portcullis.shadow"
            | "portcullis.claim.<claim>"
            | "http.request.header.<name>"
            | super::line::CUT => None,
            // A member that is new here: documents with it have no prepared records until it has its piece.
            _ => return None,
        };
        if let Some(piece) = piece {
            if let Piece::Date = piece {
                text.quote_next(name);
            }
            pieces.push(piece);
        }
        Some(())
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

impl Prepared {
    /// How much memory it takes beside itself.
    pub fn memory(&self) -> usize {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.len(),
            _ => 0,
        };
        let texts = self.pieces.iter().map(text);
        texts.fold(size_of_val(&*self.pieces), usize::saturating_add)
    }

    /// Writes the record of one request in place of what `buffer` holds. False if it is too long, and has to
    /// be cut as records are without plans.
    pub fn write(&self, log: &AccessLog, known: &PlannedExchange<'_>, buffer: &mut String) -> bool {
        let mut text = std::mem::take(buffer);
        text.clear();
        let mut line = JsonLine::bounded(text, self.longest);
        let trace = known.fields.one(Shown::TRACE).and_then(Trace::parse);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => line.raw(text),
                Piece::Date => line.raw_with(|out| {
                    rfc3339(out, known.written);
                    out.push('"');
                }),
                Piece::RequestId(name, schema) => {
                    match (known.fields.one(Shown::REQUEST_ID), schema) {
                        (None, _) => {}
                        (Some(id), Convention::OpenTelemetry) => {
                            line.list(name, std::iter::once(id));
                        }
                        (Some(id), Convention::Elastic) => line.untrusted(name, id),
                    }
                }
                Piece::TraceId(name) => {
                    if let Some(trace) = trace {
                        line.trusted(name, trace.trace_id);
                    }
                }
                Piece::ParentId(name) => {
                    if let Some(trace) = trace {
                        line.trusted(name, trace.parent_id);
                    }
                }
                Piece::Field(name, slot) => line.optional(name, known.fields.one(*slot)),
                Piece::HostName(name) => {
                    line.untrusted(name, without_port(known.host_name.as_bytes()));
                }
                Piece::Path(name) => line.path(name, path(known.fields)),
                Piece::Query(name) => {
                    if let (Some(query), Some(shown)) = (query(known.fields), log.shown()) {
                        line.query(name, query, &shown);
                    }
                }
                Piece::Words => line.raw(known.words),
                Piece::Code(name) => {
                    own(&mut line, name, known.reason.map(|reason| reason.code.name))
                }
                Piece::Reason(name) => own(&mut line, name, known.reason.map(|reason| reason.name)),
                Piece::Detail(name) => {
                    if let Some(detail) = known.detail {
                        line.detail(name, detail, log.parameters());
                    }
                }
                Piece::Remaining(name) => line.number(name, known.remaining),
                Piece::Duration(name) => line.number(name, known.elapsed.map(micros)),
                Piece::Judging(name) => line.number(name, known.judging.map(micros)),
                Piece::Proxy(name, member) => {
                    member.ask(&mut line, name, known.connection, known.host);
                }
            }
        }
        let is_whole = !line.is_cut();
        *buffer = line.finish();
        is_whole
    }
}

fn path(fields: &Fields) -> Option<&[u8]> {
    let path = fields.one(Shown::PATH)?.split(|b| *b == b'?').next();
    path.filter(|path| !path.is_empty())
}

fn query(fields: &Fields) -> Option<&[u8]> {
    let query = fields.one(Shown::PATH)?.splitn(2, |b| *b == b'?').nth(1);
    query.filter(|query| !query.is_empty())
}
