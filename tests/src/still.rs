//! Hosts whose clock stands still.

use std::rc::Rc;

use portcullis::host::Property;
use portcullis::memory_host::{ForgetfulCells, MemoryHost};

/// The one variable of the environment of [`still`].
pub const LOG_KEY: &str = "LOG_KEY";

/// A host at that time, in seconds since the epoch. It tells the same of every exchange, checks no
/// signatures, and forgets its cells.
pub fn still(now: u64) -> MemoryHost {
    MemoryHost::new()
        .at_second(now)
        .with_variable(LOG_KEY, "a key for logs")
        .with_client("192.0.2.1:40000")
        .with_property(Property::TlsVersion, "TLSv1.3")
        .with_property(Property::Protocol, "HTTP/2")
        .with_number(Property::RequestSize, 600)
        .with_number(Property::ResponseStatus, 200)
        .with_property(Property::ResponseDetails, "via_upstream")
        .with_number(Property::ResponseFlags, 0)
        .with_number(Property::ResponseSize, 300)
        .with_property(Property::UpstreamAddress, "192.0.2.2:8080")
        .with_cell_store(Rc::new(ForgetfulCells))
        .with_bodies(b"{}")
}

/// A host at the beginning of time that holds one body, for either side, and nothing else.
pub fn holding(body: &[u8]) -> MemoryHost {
    MemoryHost::new().without_cells().with_bodies(body)
}
