//! Scanners, who look for paths that exist: many requests for what is not there, or not with this method.

use super::{Cause, Event, SecurityEvents};
use crate::metrics::Outcome;
use crate::record::Summary;
use crate::record::security::{SCANNED, SCANS};
use portcullis_exchange::host::{Host, Property};
use portcullis_wire::address;

impl SecurityEvents {
    /// Counts a response of a scan for the request's source; an event, if that makes it one too many.
    /// It does not matter who gave the response: behind a route for all paths, the service knows what
    /// there is.
    pub(super) fn scanned(&self, exchange: &Summary<'_>, host: &dyn Host) -> Option<Event> {
        let record = exchange.record;
        let (status, outcome) = match record.refusal {
            Some(reason) => (u64::from(reason.code.status), Outcome::Denied),
            None => (status(host)?, Outcome::Allowed),
        };
        let cause = Cause {
            reason: record.refusal,
            outcome,
            detail: None,
        };
        if !SCANNED.contains(&status) {
            return None;
        }
        let source = address::network(exchange.facts.client(host)?, 32, 64);
        let scans = self
            .scanners
            .failed(source, self.window, self.scans, host)?;
        self.happened(SCANS, u64::from(scans), &cause, exchange, host)
    }
}

/// The status that the client got. Envoy's numbers are eight bytes, the lowest first.
fn status(host: &dyn Host) -> Option<u64> {
    let bytes = host.property(Property::ResponseStatus)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}
