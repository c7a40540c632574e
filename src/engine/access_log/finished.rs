//! A finished exchange, as its record shows it.

use std::time::Duration;

use super::subject::Provenance;
use super::trace::Trace;
use super::{AccessLog, time_stamp};
use crate::record::Summary;
use portcullis_exchange::host::Host;
use portcullis_exchange::limits::LimitStatus;
use portcullis_exchange::principal::Principal;
use portcullis_exchange::refusal::Claimed;
use portcullis_wire::headers::Headers;

/// What members of a record are made of. What several of them need is found out once.
pub(super) struct Finished<'r> {
    pub(super) log: &'r AccessLog,
    pub(super) exchange: &'r Summary<'r>,
    pub(super) headers: &'r Headers,
    pub(super) host: &'r dyn Host,
    pub(super) request_id: Option<&'r [u8]>,
    pub(super) trace: Option<Trace<'r>>,
    /// When the record is written.
    pub(super) written: Duration,
    pub(super) elapsed: Option<Duration>,
    /// Whose token was accepted, whether or not it sufficed.
    pub(super) principal: Option<&'r Principal>,
    /// What a token says that was not accepted, if that is shown.
    pub(super) claimed: Option<&'r Claimed>,
    /// The limit that is nearest to refusing.
    pub(super) limit: Option<(&'r str, LimitStatus)>,
}

impl<'r> Finished<'r> {
    /// `None` when it is not in the sample.
    pub(super) fn sampled(
        log: &'r AccessLog,
        exchange: &'r Summary<'r>,
        headers: &'r Headers,
        host: &'r dyn Host,
    ) -> Option<Self> {
        let trace = headers.one("traceparent").ok().flatten();
        let trace = trace.and_then(Trace::parse);
        let request_id = headers.all("x-request-id").next();
        let trace_id = trace.map(|trace| trace.trace_id);
        if !log.keeps(exchange, trace_id, request_id.unwrap_or_default()) {
            return None;
        }
        let elapsed = exchange.elapsed(host);
        // The date of the head and how long ago that was: a question less for the proxy.
        let written = match exchange.started.zip(elapsed) {
            Some((started, elapsed)) => started.saturating_add(elapsed),
            None => time_stamp(host),
        };
        let Summary { facts, record, .. } = *exchange;
        Some(Self {
            log,
            exchange,
            headers,
            host,
            request_id,
            trace,
            written,
            elapsed,
            principal: facts.principal.as_ref().or_else(|| record.principal()),
            claimed: record.claimed().filter(|_| log.shows_claimed()),
            limit: facts.limits.tightest(),
        })
    }

    /// The first of the request's fields of that name.
    pub(super) fn field(&self, name: &str) -> Option<&'r [u8]> {
        self.headers.all(name).next()
    }

    pub(super) fn path(&self) -> Option<&'r [u8]> {
        let path = self.field(":path")?.split(|b| *b == b'?').next();
        path.filter(|path| !path.is_empty())
    }

    pub(super) fn query(&self) -> Option<&'r [u8]> {
        let query = self.field(":path")?.splitn(2, |b| *b == b'?').nth(1);
        query.filter(|query| !query.is_empty())
    }

    /// The subject of the accepted token.
    pub(super) fn subject(&self) -> Option<&'r [u8]> {
        Some(self.principal?.subject()?.as_bytes())
    }

    /// The audiences of a token that was not accepted.
    pub(super) fn audiences(&self) -> impl Iterator<Item = &'r [u8]> {
        let audiences = self.claimed.map(|claimed| claimed.audiences.iter());
        audiences.into_iter().flatten().map(|audience| &**audience)
    }

    /// A value, where what it is of is shown as it is.
    pub(super) fn plain<'v>(&self, of: Provenance, value: Option<&'v [u8]>) -> Option<&'v [u8]> {
        value.filter(|_| self.log.subjects.shows_plain(of))
    }

    /// The hash of a value, where what it is of is hashed.
    pub(super) fn hashed(&self, of: Provenance, value: Option<&[u8]>) -> Option<String> {
        self.log.subjects.hashed(of, value?, self.host)
    }
}
