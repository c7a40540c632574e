//! The pieces of a prepared record, and how one is written.

use std::time::Duration;

use super::AccessLog;
use super::detail;
use super::line::{JsonLine, bound};
use super::member::Member;
use super::name::Convention;
use super::planned_line::PlannedLine;
use super::prepared::Shown;
use super::redact;
use super::time::without_port;
use super::trace::Trace;
use portcullis_exchange::host::{Host, Property};
use portcullis_exchange::meter::micros;
use portcullis_exchange::plan::{Fields, Slot};
use portcullis_exchange::refusal::{Detail, Reason};

/// A record with places for what is known of one request.
#[derive(Debug)]
pub struct Prepared {
    pub(super) pieces: Box<[Piece]>,
    pub(super) longest: usize,
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
    /// The proxy.
    pub host: &'k dyn Host,
}

#[derive(Debug)]
pub(super) struct Piece {
    pub(super) kind: Kind,
    /// What is written as it is: the text itself, or the key in front of a value, with its comma, and with the
    /// quotation mark if that is a string.
    pub(super) text: Box<str>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    /// The date, up to its second quotation mark.
    Date,
    RequestId(Convention),
    TraceId,
    ParentId,
    Field(Slot),
    HostName,
    Path,
    Query,
    /// All members that tell of the token.
    Words,
    Code,
    Reason,
    Detail,
    Remaining,
    Duration,
    Judging,
    Status,
    Address,
    /// What else the proxy is asked.
    Proxy(&'static str, &'static Member),
}

impl Kind {
    /// What stands behind the name of such a member in any case.
    pub(super) fn opening(self) -> &'static str {
        match self {
            Kind::RequestId(Convention::OpenTelemetry) => "[\"",
            Kind::RequestId(Convention::Elastic)
            | Kind::TraceId
            | Kind::ParentId
            | Kind::Field(_)
            | Kind::HostName
            | Kind::Path
            | Kind::Query
            | Kind::Code
            | Kind::Reason
            | Kind::Address => "\"",
            Kind::Text
            | Kind::Date
            | Kind::Words
            | Kind::Detail
            | Kind::Remaining
            | Kind::Duration
            | Kind::Judging
            | Kind::Status
            | Kind::Proxy(..) => "",
        }
    }
}

impl Prepared {
    /// How much memory it takes beside itself.
    pub fn memory(&self) -> usize {
        let texts = self.pieces.iter().map(|piece| piece.text.len());
        texts.fold(size_of_val(&*self.pieces), usize::saturating_add)
    }

    /// Writes the record of one request in place of what `buffer` holds. False if it is too long, and has to
    /// be cut as records are without plans.
    pub fn write(&self, log: &AccessLog, known: &PlannedExchange<'_>, buffer: &mut String) -> bool {
        let mut line = PlannedLine::in_place_of(buffer);
        let fields = known.fields;
        let trace = fields.one(Shown::TRACE).and_then(Trace::parse);
        let (path, query) = target(fields);
        for Piece { kind, text: key } in &self.pieces {
            let peer = match kind {
                Kind::Text => {
                    line.put(key.as_bytes());
                    continue;
                }
                Kind::Date => {
                    let second = log.second.get().at(known.written);
                    log.second.set(second);
                    line.time(second, known.written);
                    continue;
                }
                Kind::Words => {
                    line.put(known.words.as_bytes());
                    continue;
                }
                Kind::Remaining => {
                    line.number(key, known.remaining);
                    continue;
                }
                Kind::Duration => {
                    line.number(key, known.elapsed.map(micros));
                    continue;
                }
                Kind::Judging => {
                    line.number(key, known.judging.map(micros));
                    continue;
                }
                Kind::Status => {
                    let status = known.host.response_status();
                    line.number(key, status.filter(|status| *status != 0));
                    continue;
                }
                Kind::Address => {
                    let address = known.host.property(Property::ClientAddress);
                    let address = address.as_deref().map(without_port);
                    line.shown(key, address, redact::tokens);
                    continue;
                }
                Kind::Path => {
                    line.shown(key, path, redact::path);
                    continue;
                }
                // Hexadecimal digits, and nothing else.
                Kind::TraceId => trace.map(|trace| trace.trace_id.as_bytes()),
                Kind::ParentId => trace.map(|trace| trace.parent_id.as_bytes()),
                Kind::HostName => Some(without_port(known.host_name.as_bytes())),
                Kind::Field(slot) => fields.one(*slot),
                Kind::RequestId(_) => fields.one(Shown::REQUEST_ID),
                Kind::Query | Kind::Code | Kind::Reason | Kind::Detail | Kind::Proxy(..) => {
                    seldom(*kind, key, query, log, known, &mut line);
                    continue;
                }
            };
            line.shown(key, peer, redact::tokens);
            if let (Kind::RequestId(Convention::OpenTelemetry), Some(_)) = (kind, peer) {
                line.put(b"]");
            }
        }
        match line.finish(bound(self.longest)) {
            Some(text) => {
                *buffer = text;
                true
            }
            None => false,
        }
    }
}

/// Members that requests seldom have which go on.
#[cold]
#[inline(never)]
fn seldom(
    kind: Kind,
    key: &str,
    query: Option<&[u8]>,
    log: &AccessLog,
    known: &PlannedExchange<'_>,
    line: &mut PlannedLine,
) {
    let mut own = |value: Option<&[u8]>| {
        if let Some(value) = value {
            line.put(key.as_bytes());
            line.escaped(value);
        }
    };
    match kind {
        Kind::Query => {
            if let (Some(query), Some(shown)) = (query, log.shown()) {
                own(Some(&redact::query(query, &shown)));
            }
        }
        Kind::Code => own(known.reason.map(|reason| reason.code.name.as_bytes())),
        Kind::Reason => own(known.reason.map(|reason| reason.name.as_bytes())),
        Kind::Detail => {
            let mut text = String::new();
            if let Some(detail) = known.detail
                && detail::write(&mut text, detail, log.parameters())
            {
                line.put(key.as_bytes());
                line.put(text.as_bytes());
            }
        }
        Kind::Proxy(name, member) => {
            let mut members = JsonLine::unbounded(String::new());
            member.ask(&mut members, name, known.host);
            line.put(members.into_text().as_bytes());
        }
        _ => {}
    }
}

/// The path that was asked for and what stands behind its `?`; nothing for what is empty.
fn target(fields: &Fields) -> (Option<&[u8]>, Option<&[u8]>) {
    let target = fields.one(Shown::PATH).unwrap_or_default();
    let end = target.iter().position(|b| *b == b'?');
    let (path, query) = match end.and_then(|end| target.split_at_checked(end)) {
        Some((path, query)) => (path, query.get(1..)),
        None => (target, None),
    };
    let there = |text: &&[u8]| !text.is_empty();
    (Some(path).filter(there), query.filter(there))
}
