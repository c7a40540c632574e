//! What becomes of a message that comes twice.

use portcullis_document::{Node, Problems};
use portcullis_exchange::host::Host;
use portcullis_exchange::refusal::Refusal;
use portcullis_exchange::seed::Hashed;
use portcullis_wire::json::Json;
use siphasher::sip128::SipHasher13;

use super::refusals::{AGAIN, REPLAYS, REPLAYS_FULL};
use super::replay::{MOST_ENTRIES, Noting, ReplayFilter, Seen, USUAL_ENTRIES};

/// What becomes of a message that comes twice.
pub(super) enum Replays {
    Allowed,
    /// It is refused for as long as its own time lets it be good.
    Refused(ReplayFilter),
    /// It has no time, and is refused for so many seconds.
    RefusedFor(ReplayFilter, u64),
}

/// The longest time for which messages without one are known.
const MOST_SECONDS: u64 = 24 * 3600;

impl Replays {
    /// What hashes a message; none if none is to be told apart from others, or they cannot be.
    pub(super) fn hasher(&self, host: &dyn Host) -> Option<SipHasher13> {
        match self {
            Self::Allowed => None,
            Self::Refused(filter) | Self::RefusedFor(filter, _) => filter.hasher(host),
        }
    }

    /// Refuses a message that has been used, and notes that it is now, if that is to be noted. `until` is the
    /// second after which it is no longer good, if it says so itself, and `now` the time in seconds.
    pub(super) fn check(
        &self,
        message: Option<Hashed>,
        until: Option<u64>,
        now: u64,
        noting: Noting,
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        let (filter, until) = match (self, until) {
            (Self::Allowed, _) => return Ok(()),
            (Self::Refused(filter), Some(until)) => (filter, until),
            (Self::Refused(filter), None) => (filter, u64::MAX),
            (Self::RefusedFor(filter, seconds), _) => (filter, now.saturating_add(*seconds)),
        };
        match filter.seen(message, (until, now), noting, host) {
            Seen::First => Ok(()),
            Seen::Again => Err(Refusal::new(&AGAIN)),
            Seen::Full => Err(Refusal::new(&REPLAYS_FULL)),
            Seen::Unknown => Err(Refusal::new(&REPLAYS)),
        }
    }

    /// How many bytes are taken in the proxy when all cells are full; none if nothing is noted.
    pub(super) fn footprint(&self) -> Option<u64> {
        match self {
            Self::Allowed => None,
            Self::Refused(filter) | Self::RefusedFor(filter, _) => Some(filter.footprint()),
        }
    }

    pub(super) fn read(
        signer: &str,
        node: Option<&Node<'_>>,
        has_time: bool,
        problems: &mut Problems,
    ) -> Option<Self> {
        let Some(node) = node else {
            return Some(match has_time {
                true => Self::Refused(ReplayFilter::new(signer, USUAL_ENTRIES)),
                false => Self::Allowed,
            });
        };
        if let Json::String(_) = node.json() {
            let is_refused = node.choice(problems, &[("refuse", true), ("allow", false)])?;
            return match (is_refused, has_time) {
                (false, _) => Some(Self::Allowed),
                (true, true) => Some(Self::Refused(ReplayFilter::new(signer, USUAL_ENTRIES))),
                (true, false) => {
                    node.report(
                        problems,
                        "needs to know for how long, since such a message does not say when it was signed: write {\"for\": \"1h\"}",
                    );
                    None
                }
            };
        }
        let mut fields = node.object(problems, "\"refuse\"")?;
        let entries =
            fields.or_default("max_entries", USUAL_ENTRIES, problems, |node, problems| {
                node.integer(problems, 1..=MOST_ENTRIES)
            });
        let lasts = match (fields.optional("for"), has_time) {
            (None, true) => Some(None),
            (Some(node), false) => read_for(&node, problems).map(Some),
            (Some(node), true) => {
                node.report(
                    problems,
                    "says nothing here: a message is known for as long as its time lets it be good; see `tolerance`",
                );
                None
            }
            (None, false) => {
                fields.required("for", problems);
                None
            }
        };
        fields.deny_unknown(problems);
        let filter = ReplayFilter::new(signer, entries?);
        Some(match lasts? {
            None => Self::Refused(filter),
            Some(seconds) => Self::RefusedFor(filter, seconds),
        })
    }
}

fn read_for(node: &Node<'_>, problems: &mut Problems) -> Option<u64> {
    let seconds = node.duration(problems)?.as_secs();
    if !(1..=MOST_SECONDS).contains(&seconds) {
        node.report(problems, "must be from 1s to 24h");
        return None;
    }
    Some(seconds)
}
