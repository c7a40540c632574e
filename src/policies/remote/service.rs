//! Which service is asked, and how often; and what tells one such service from another. Workers share
//! what they fetch and the right to ask for it under names that are made of all that decides what comes of
//! it, so that no other document brings what it fetched here, or keeps this one from asking.

use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

use hmac_sha256::Hash;

use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::credentials::Credential;

/// A service, the proxy's cluster for it, and how often it is asked.
pub(crate) struct Service {
    pub(crate) cluster: Rc<str>,
    /// With which fields of the head it is asked.
    pub(crate) credentials: Vec<Credential>,
    pub(crate) limits: Limits,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long a response may take.
    pub(crate) timeout: Duration,
    /// The longest time between two fetches that succeed.
    pub(crate) cache_duration: Duration,
    /// How long what was fetched is used without a new response.
    pub(crate) max_stale: Duration,
    /// The shortest time between two fetches, whatever happens.
    pub(crate) cooldown: Duration,
}

/// How long something is used without a new response that is fetched so often, if the document does not say.
pub(crate) type MaxStale = fn(Duration) -> Duration;

/// The names under which workers share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CellNames {
    /// That of the keys: where they come from, through which cluster, and with which credentials
    /// they are asked for.
    pub(crate) keys: String,
    /// That of the right to ask: the same, and how often the document asks.
    pub(crate) lease: String,
}

/// A hash of pieces; no two lists of pieces look alike.
struct Pieces(Hash);

impl Pieces {
    fn add(&mut self, piece: &[u8]) {
        self.0.update((piece.len() as u64).to_le_bytes());
        self.0.update(piece);
    }

    /// Half of it is enough, and no value of a credential can be found out from it by trying
    /// but one that could be guessed anyway.
    fn name(&self) -> String {
        let whole = self.0.finalize();
        whole.iter().take(16).map(|b| format!("{b:02x}")).collect()
    }
}

impl Service {
    /// Reads `{ cluster, headers, timeout, cache_duration, max_stale, cooldown }`, and what `place` reads of
    /// where to ask there.
    pub(crate) fn read<P>(
        fields: &mut Fields<'_>,
        max_stale: MaxStale,
        problems: &mut Problems,
        place: impl FnOnce(&mut Fields<'_>, &mut Problems) -> Option<P>,
    ) -> Option<(Self, P)> {
        let cluster = read_cluster(fields, problems);
        let place = place(fields, problems);
        let credentials = fields.or_default("headers", Vec::new(), problems, Credential::read_all);
        let limits = Limits::read(fields, max_stale, problems);
        let service = Self {
            cluster: cluster?,
            credentials: credentials?,
            limits: limits?,
        };
        Some((service, place?))
    }

    /// The names for what is asked of it at that place with these values of its credentials.
    pub(crate) fn names(
        &self,
        place: &[&[u8]],
        value: impl Fn(&Credential) -> Option<String>,
    ) -> CellNames {
        let mut pieces = Pieces(Hash::new());
        pieces.add(self.cluster.as_bytes());
        place.iter().for_each(|piece| pieces.add(piece));
        for credential in &self.credentials {
            pieces.add(credential.name().as_bytes());
            pieces.add(value(credential).unwrap_or_default().as_bytes());
        }
        let keys = pieces.name();
        let Limits {
            timeout,
            cache_duration,
            max_stale,
            cooldown,
        } = self.limits;
        for limit in [timeout, cache_duration, max_stale, cooldown] {
            pieces.add(&Duration::as_nanos(&limit).to_le_bytes());
        }
        CellNames {
            keys,
            lease: pieces.name(),
        }
    }
}

impl Limits {
    /// How long a response is good, of which the sender says that it is good for `age`.
    pub(crate) fn pause(&self, age: Option<Duration>) -> Duration {
        let longest = self.cache_duration;
        let shortest = self.cooldown.min(longest);
        age.map_or(longest, |age| age.clamp(shortest, longest))
    }

    fn read(fields: &mut Fields<'_>, max_stale: MaxStale, problems: &mut Problems) -> Option<Self> {
        let seconds = Duration::from_secs;
        let mut read = |name, default: Duration, range: RangeInclusive<Duration>| {
            fields.or_default(name, default, problems, |node, problems| {
                read_duration(node, range, problems)
            })
        };
        let timeout = read("timeout", seconds(5), seconds(1)..=seconds(60));
        let longest = seconds(1)..=seconds(86_400);
        let cache_duration = read("cache_duration", seconds(600), longest);
        let longest = seconds(1)..=seconds(30 * 86_400);
        let usual = max_stale(cache_duration.unwrap_or_default());
        let max_stale = read("max_stale", usual, longest);
        let cooldown = read("cooldown", seconds(30), seconds(1)..=seconds(3600));
        Some(Self {
            timeout: timeout?,
            cache_duration: cache_duration?,
            max_stale: max_stale?,
            cooldown: cooldown?,
        })
    }
}

fn read_cluster(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Rc<str>> {
    let node = fields.required("cluster", problems)?;
    node.non_empty(problems).map(Rc::from)
}

fn read_duration(
    node: &Node<'_>,
    range: RangeInclusive<Duration>,
    problems: &mut Problems,
) -> Option<Duration> {
    let duration = node.duration(problems)?;
    if !range.contains(&duration) {
        let (low, high) = (range.start().as_secs(), range.end().as_secs());
        node.report(problems, format_args!("must be from {low}s to {high}s"));
        return None;
    }
    Some(duration)
}
