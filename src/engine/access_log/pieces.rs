//! The pieces of a prepared record, and how one is written.

use std::time::Duration;

use super::AccessLog;
use super::detail;
use super::line::{JsonLine, bound};
use super::member::Member;
use super::name::Convention;
use super::planned_line::{Key, PlannedLine};
use super::prepared::Shown;
use super::redact;
use super::time::without_port;
use super::trace::Trace;
use portcullis_exchange::connection::Connection;
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
    /// What is known of the client's connection.
    pub connection: &'k Connection,
    /// The proxy.
    pub host: &'k dyn Host,
}

#[derive(Debug)]
pub(super) enum Piece {
    /// What is written as it is.
    Text(Box<str>),
    /// A member of that name, if it has a value. It is never the first.
    Member(Key, Kind),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
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
    Proxy(&'static Member),
}

impl Prepared {
    /// How much memory it takes beside itself.
    pub fn memory(&self) -> usize {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.len(),
            // Its name is the log's.
            Piece::Member(..) => 0,
        };
        let texts = self.pieces.iter().map(text);
        texts.fold(size_of_val(&*self.pieces), usize::saturating_add)
    }

    /// Writes the record of one request in place of what `buffer` holds. False if it is too long, and has to
    /// be cut as records are without plans.
    #[inline]
    pub fn write(&self, log: &AccessLog, known: &PlannedExchange<'_>, buffer: &mut String) -> bool {
        let mut line = PlannedLine::in_place_of(buffer);
        let fields = known.fields;
        let trace = fields.one(Shown::TRACE).and_then(Trace::parse);
        let (path, query) = target(fields);
        for piece in &self.pieces {
            let (name, kind) = match piece {
                Piece::Text(text) => {
                    line.put(text.as_bytes());
                    continue;
                }
                Piece::Member(name, kind) => (name, *kind),
            };
            let peer = match kind {
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
                    line.number(name, known.remaining);
                    continue;
                }
                Kind::Duration => {
                    line.number(name, known.elapsed.map(micros));
                    continue;
                }
                Kind::Judging => {
                    line.number(name, known.judging.map(micros));
                    continue;
                }
                Kind::Status => {
                    let status = known.host.response_status();
                    line.number(name, status.filter(|status| *status != 0));
                    continue;
                }
                Kind::Address => {
                    match known.connection.forwarded_client() {
                        // The proxy's word does not count.
                        Some(client) => {
                            let client = client.map(|client| client.to_string());
                            let client = client.as_deref().map(str::as_bytes);
                            line.shown(name, client, redact::tokens);
                        }
                        None => {
                            let address = known.host.property(Property::ClientAddress);
                            let address = address.as_deref().map(without_port);
                            line.shown(name, address, redact::tokens);
                        }
                    }
                    continue;
                }
                Kind::Path => {
                    line.shown(name, path, redact::path);
                    continue;
                }
                // Hexadecimal digits, and nothing else.
                Kind::TraceId => trace.map(|trace| trace.trace_id.as_bytes()),
                Kind::ParentId => trace.map(|trace| trace.parent_id.as_bytes()),
                Kind::HostName => Some(without_port(known.host_name.as_bytes())),
                Kind::Field(slot) => fields.one(slot),
                Kind::RequestId(Convention::Elastic) => fields.one(Shown::REQUEST_ID),
                Kind::RequestId(Convention::OpenTelemetry) => {
                    if let Some(id) = fields.one(Shown::REQUEST_ID) {
                        line.key(name, b"[");
                        line.value(id, redact::tokens);
                        line.put(b"]");
                    }
                    continue;
                }
                Kind::Query if query.is_none() => continue,
                // Words of the filter's own, in which there is nothing to redact.
                Kind::Code => known.reason.map(|reason| reason.code.name.as_bytes()),
                Kind::Reason => known.reason.map(|reason| reason.name.as_bytes()),
                Kind::Query | Kind::Detail | Kind::Proxy(_) => {
                    seldom(name, kind, query, log, known, &mut line);
                    continue;
                }
            };
            line.shown(name, peer, redact::tokens);
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
    name: &Key,
    kind: Kind,
    query: Option<&[u8]>,
    log: &AccessLog,
    known: &PlannedExchange<'_>,
    line: &mut PlannedLine,
) {
    match kind {
        Kind::Query => {
            if let (Some(query), Some(shown)) = (query, log.shown()) {
                line.key(name, b"");
                line.escaped(&redact::query(query, &shown));
            }
        }
        Kind::Detail => {
            let mut text = String::new();
            if let Some(detail) = known.detail
                && detail::write(&mut text, detail, log.parameters())
            {
                line.key(name, b"");
                line.put(text.as_bytes());
            }
        }
        Kind::Proxy(member) => {
            let mut members = JsonLine::unbounded(String::new());
            member.ask(&mut members, name.name(), known.connection, known.host);
            line.put(members.into_text().as_bytes());
        }
        _ => {}
    }
}

/// The path that was asked for and what stands behind its `?`; nothing for what is empty.
#[inline]
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
