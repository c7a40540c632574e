//! The pieces of a prepared record, and how one is written.

use std::rc::Rc;
use std::time::Duration;

use super::AccessLog;
use super::detail;
use super::line::{JsonLine, bound};
use super::member::Member;
use super::planned_line::{Around, Key, PlannedLine};
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
    pub host_name: &'k [u8],
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
    pub elapsed: Duration,
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
    Text(Rc<str>),
    /// The date, up to its second quotation mark.
    Date,
    /// All members that tell of the token.
    Words,
    /// A member of that name, if it has a value. It is never the first.
    Number(Key, Number),
    /// The same, of a text that a peer wrote.
    Shown(Key, Around, ShownText),
    /// The client's address.
    Address(Key),
    /// The path, of which less is shown.
    Path(Key),
    /// What requests seldom have which go on.
    Seldom(Key, Seldom),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Remaining,
    Duration,
    Judging,
    Status,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum ShownText {
    Field(Slot),
    HostName,
    TraceId,
    ParentId,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Seldom {
    Query,
    Code,
    Reason,
    Detail,
    /// What else the proxy is asked.
    Proxy(&'static Member),
}

impl Prepared {
    /// How much memory it takes beside itself.
    pub fn memory(&self) -> usize {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.len(),
            // Its name is the log's.
            _ => 0,
        };
        let texts = self.pieces.iter().map(text);
        texts.fold(size_of_val(&*self.pieces), usize::saturating_add)
    }

    /// Writes the record of one request in place of what `buffer` holds. None if it is too long, and has to
    /// be cut as records are without plans.
    #[inline]
    pub fn write<'b>(
        &self,
        log: &AccessLog,
        known: &PlannedExchange<'_>,
        buffer: &'b mut Vec<u8>,
    ) -> Option<&'b str> {
        let mut line = PlannedLine::in_place_of(buffer);
        let fields = known.fields;
        let trace = fields.one(Shown::TRACE).and_then(Trace::parse);
        let (path, query) = target(fields);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => line.put(text.as_bytes()),
                Piece::Words => line.put(known.words.as_bytes()),
                Piece::Date => line.time(&log.second, known.written),
                Piece::Number(key, number) => {
                    let value = match number {
                        Number::Remaining => known.remaining,
                        Number::Duration => Some(micros(known.elapsed)),
                        Number::Judging => known.judging.map(micros),
                        Number::Status => known.host.response_status().filter(|s| *s != 0),
                    };
                    if let Some(value) = value {
                        line.number(key, value);
                    }
                }
                Piece::Shown(key, around, source) => {
                    let value = match source {
                        ShownText::Field(slot) => fields.one(*slot),
                        ShownText::HostName => Some(without_port(known.host_name)),
                        // Hexadecimal digits, and nothing else.
                        ShownText::TraceId => trace.map(|trace| trace.trace_id.as_bytes()),
                        ShownText::ParentId => trace.map(|trace| trace.parent_id.as_bytes()),
                    };
                    if let Some(value) = value {
                        line.shown(key, value, *around, redact::tokens);
                    }
                }
                Piece::Path(key) if !path.is_empty() => {
                    line.shown(key, path, Around::Quotes, redact::path);
                }
                Piece::Path(_) => {}
                Piece::Address(key) => address(key, known.connection, known.host, &mut line),
                Piece::Seldom(_, Seldom::Query) if query.is_empty() => {}
                Piece::Seldom(key, Seldom::Query) => asked(key, query, log, &mut line),
                Piece::Seldom(key, seldom) => {
                    let refusal = (known.reason, known.detail);
                    let proxy = (known.connection, known.host);
                    write_seldom(key, *seldom, refusal, proxy, log, &mut line);
                }
            }
        }
        line.finish(bound(self.longest))
    }
}

#[inline(never)]
fn address(key: &Key, connection: &Connection, host: &dyn Host, line: &mut PlannedLine<'_>) {
    let mut show = |address: &[u8]| line.shown(key, address, Around::Quotes, redact::tokens);
    match connection.forwarded_client() {
        // The proxy's word does not count.
        Some(client) => {
            let client = client.map(|client| client.to_string());
            client.iter().for_each(|client| show(client.as_bytes()));
        }
        None => {
            let address = host.property(Property::ClientAddress);
            address
                .iter()
                .for_each(|address| show(without_port(address)));
        }
    }
}

#[cold]
#[inline(never)]
fn asked(key: &Key, query: &[u8], log: &AccessLog, line: &mut PlannedLine<'_>) {
    if let Some(shown) = log.shown() {
        line.key(key);
        line.escaped(&redact::query(query, &shown));
    }
}

/// Members that requests seldom have which go on.
#[cold]
#[inline(never)]
fn write_seldom(
    key: &Key,
    seldom: Seldom,
    (reason, detail): (Option<&'static Reason>, Option<&Detail>),
    (connection, host): (&Connection, &dyn Host),
    log: &AccessLog,
    line: &mut PlannedLine<'_>,
) {
    // Words of the filter's own, in which there is nothing to redact.
    let mut own = |name: &str| line.shown(key, name.as_bytes(), Around::Quotes, redact::tokens);
    match (seldom, reason, detail) {
        (Seldom::Code, Some(reason), _) => own(reason.code.name),
        (Seldom::Reason, Some(reason), _) => own(reason.name),
        (Seldom::Detail, _, Some(detail)) => {
            let mut text = String::new();
            if detail::write(&mut text, detail, log.parameters()) {
                line.key(key);
                line.put(text.as_bytes());
            }
        }
        (Seldom::Proxy(member), ..) => {
            let mut members = JsonLine::unbounded(String::new());
            member.ask(&mut members, key.name(), connection, host);
            line.put(members.into_text().as_bytes());
        }
        (Seldom::Query | Seldom::Code | Seldom::Reason | Seldom::Detail, ..) => {}
    }
}

/// The path that was asked for and what stands behind its `?`.
#[inline]
fn target(fields: &Fields) -> (&[u8], &[u8]) {
    let target = fields.one(Shown::PATH).unwrap_or_default();
    let end = target.iter().position(|b| *b == b'?');
    match end.and_then(|end| target.split_at_checked(end)) {
        Some((path, query)) => (path, query.get(1..).unwrap_or_default()),
        None => (target, &[]),
    }
}
