//! One record for each finished exchange, a line of JSON.

pub mod collector;
pub mod detail;
mod finished;
mod line;
mod member;
pub mod members;
mod name;
mod pieces;
mod planned_line;
pub mod prepared;
mod redact;
mod sample;
pub mod security;
mod settings;
mod subject;
pub(crate) mod time;
mod trace;
mod verdict;

use std::cell::OnceCell;
use std::time::Duration;

use self::detail::Parameters;
use self::finished::Finished;
use self::line::JsonLine;
pub use self::member::Member;
use self::members::MEMBERS;
use self::name::Convention;
use self::planned_line::{Key, WrittenSecond};
use self::redact::ShownValues;
use self::sample::{SampleRate, Sampled};
use self::subject::Subjects;
pub use self::verdict::errors;
use crate::record::Summary;
use portcullis_exchange::condition::ClaimPath;
use portcullis_exchange::exchange::FilterStateKey;
use portcullis_exchange::host::{Host, Property};
use portcullis_wire::headers::{HeaderName, Headers};

/// `access_log`, ready to write.
#[derive(Debug)]
pub struct AccessLog {
    sinks: Vec<Sink>,
    schema: Convention,
    longest: usize,
    /// What records may have, in order, by its name in the schema.
    members: Vec<(&'static str, &'static Member)>,
    subjects: Subjects,
    query: Query,
    claims: Vec<(String, ClaimPath)>,
    headers: Vec<(String, HeaderName)>,
    /// Whether records have the roles of who calls.
    roles: bool,
    redacted: Vec<String>,
    shares: Vec<(Sampled, SampleRate)>,
    /// The second in which a record was last written by a plan.
    second: WrittenSecond,
    /// The names of members as plans write them, once one does.
    keys: OnceCell<Box<[Key]>>,
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// The proxy's own log.
    ProxyLog,
    /// A value that the proxy's access loggers can print.
    FilterState(FilterStateKey),
    /// The document's collector.
    Collector,
}

/// What is shown of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Query {
    Off,
    Names,
    Values,
}

impl AccessLog {
    /// Never shows the values of a header field or parameter.
    pub fn redact(&mut self, name: &str) {
        self.redacted.push(name.to_ascii_lowercase());
    }

    /// How many bytes a record has at most.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The request's fields that it shows, each with how many bytes of its values can matter.
    pub fn request_fields(&self) -> impl Iterator<Item = (&str, usize)> {
        let usual = MEMBERS.iter().flat_map(Member::request_fields);
        let more = self.headers.iter().map(|(_, field)| {
            let most = if self.hides(field) { 0 } else { usize::MAX };
            (field.as_str(), most)
        });
        usual.map(|name| (*name, usize::MAX)).chain(more)
    }

    /// Whether the values of a field are never shown.
    fn hides(&self, field: &HeaderName) -> bool {
        let named = self.redacted.iter().any(|each| each == field.as_str());
        named || redact::is_secret_header(field.as_str())
    }

    /// Whether records have what the proxy is asked for by that property.
    pub fn asks(&self, property: Property) -> bool {
        let mut members = self.members.iter();
        members.any(|(_, member)| member.property() == Some(property))
    }

    /// Where records go.
    pub fn sinks(&self) -> &[Sink] {
        &self.sinks
    }

    /// The value that it leaves for the proxy's access loggers, if it does.
    pub fn export(&self) -> Option<FilterStateKey> {
        self.sinks.iter().find_map(|sink| match sink {
            Sink::FilterState(name) => Some(name.clone()),
            Sink::ProxyLog | Sink::Collector => None,
        })
    }

    /// Whether records show what tokens say that are not accepted.
    pub fn shows_claimed(&self) -> bool {
        self.subjects.shows_claimed()
    }

    fn parameters(&self) -> Parameters {
        match self.query {
            Query::Off => Parameters::Hidden,
            Query::Names | Query::Values => Parameters::Shown,
        }
    }

    /// The record of an exchange, without a line break. `None` when it is not in the sample.
    ///
    /// `late` are the request's fields as the proxy still has them: the only ones there are for
    /// a request that never reached the filter.
    pub fn record(
        &self,
        exchange: &Summary<'_>,
        late: Option<&Headers>,
        host: &dyn Host,
    ) -> Option<String> {
        let headers = match late {
            Some(headers) if exchange.headers.is_empty() => headers,
            _ => exchange.headers,
        };
        let finished = Finished::sampled(self, exchange, headers, host)?;
        let mut line = JsonLine::new(self.longest);
        for (name, member) in &self.members {
            member.write(&mut line, name, &finished);
        }
        Some(line.finish())
    }

    /// Whether a record is in the sample.
    fn keeps(&self, exchange: &Summary<'_>, trace_id: Option<&str>, request_id: &[u8]) -> bool {
        let sampled = Sampled::of(exchange);
        let share = self.shares.iter().find(|(each, _)| *each == sampled);
        share
            .is_none_or(|(_, share)| *share == SampleRate::ALL || share.keeps(trace_id, request_id))
    }

    /// What is shown of queries.
    fn shown(&self) -> Option<ShownValues<'_>> {
        match self.query {
            Query::Off => None,
            Query::Names => Some(ShownValues::Names),
            Query::Values => Some(ShownValues::Except(&self.redacted)),
        }
    }
}

/// When a record is written, for those who read it.
fn time_stamp(host: &dyn Host) -> Duration {
    #[allow(
        clippy::disallowed_methods,
        reason = "readers put records in order by the date"
    )]
    host.wall_clock()
}
