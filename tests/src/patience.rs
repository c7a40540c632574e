//! Waiting for what must happen in a real process, on a machine that may be busy.

use std::thread;
use std::time::Duration;

use crate::mesh::now;

/// How long something that must happen may take. It is never waited for that long: only a test
/// that fails anyway takes so much time.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often to look.
const POLL: Duration = Duration::from_millis(20);

/// Looks again and again until there is something; none when patience has run out.
pub fn find<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = now() + PATIENCE;
    loop {
        // What has happened meanwhile counts, however late it is looked for.
        let late = now() >= deadline;
        match look() {
            None if !late => thread::sleep(POLL),
            found => return found,
        }
    }
}

/// Whether something holds before patience has run out.
pub fn comes(mut holds: impl FnMut() -> bool) -> bool {
    find(|| holds().then_some(())).is_some()
}

/// Waits until something holds.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn wait_until(what: &str, holds: impl FnMut() -> bool) {
    assert!(comes(holds), "waited in vain until {what}");
}
