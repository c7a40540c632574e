//! What the document says of published keys: where they are, and how often to ask.

use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

use super::discovery::Discovery;
use crate::authn::jwt::claims::Accepted;
use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::credentials::Credential;
use portcullis_exchange::http_uri::Uri;

/// Where keys are published, and through which cluster of the proxy they are fetched.
pub(in crate::authn) struct RemoteSource {
    pub(in crate::authn) cluster: Rc<str>,
    pub(super) place: KeyLocation,
    /// With which fields of the head it is asked.
    pub(in crate::authn) credentials: Vec<Credential>,
    pub(in crate::authn) limits: Limits,
}

/// How it is known where the keys are.
#[derive(Debug)]
pub(super) enum KeyLocation {
    /// The document says.
    Known(Rc<Uri>),
    /// The provider says.
    Discovered(Discovery),
}

#[derive(Clone, Copy, Debug)]
pub(in crate::authn) struct Limits {
    /// How long a response may take.
    pub(in crate::authn) timeout: Duration,
    /// The longest time between two fetches that succeed.
    pub(in crate::authn) cache_duration: Duration,
    /// How long keys are used without a new response.
    pub(in crate::authn) max_stale: Duration,
    /// The shortest time between two fetches, whatever happens.
    pub(in crate::authn) cooldown: Duration,
}

/// How long keys are used without a new response that are fetched so often, if the document does not say.
pub(in crate::authn) type MaxStale = fn(Duration) -> Duration;

fn usual_max_stale(_: Duration) -> Duration {
    Duration::from_secs(86_400)
}

impl RemoteSource {
    /// Reads `remote: { cluster, uri, headers, timeout, cache_duration, max_stale, cooldown }`.
    pub(super) fn read_remote(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let source = Self::read_known(&mut fields, usual_max_stale, problems);
        fields.deny_unknown(problems);
        source
    }

    /// Reads the same, where more stands beside it.
    pub(in crate::authn) fn read_known(
        fields: &mut Fields<'_>,
        max_stale: MaxStale,
        problems: &mut Problems,
    ) -> Option<Self> {
        let cluster = read_cluster(fields, problems);
        let uri = fields
            .required("uri", problems)
            .and_then(|node| Uri::read(&node, problems));
        let credentials = read_headers(fields, problems);
        let limits = Limits::read(fields, max_stale, problems);
        Some(Self {
            cluster: cluster?,
            place: KeyLocation::Known(Rc::new(uri?)),
            credentials: credentials?,
            limits: limits?,
        })
    }

    /// Where it is, if the document says so.
    pub(in crate::authn) fn known(&self) -> Option<&Rc<Uri>> {
        match &self.place {
            KeyLocation::Known(uri) => Some(uri),
            KeyLocation::Discovered(_) => None,
        }
    }

    /// Reads `discovery: { cluster, issuer, uri, jwks_cluster, … }` with the limits of `remote`.
    pub(super) fn read_discovery(
        node: &Node<'_>,
        accepted: Option<&Accepted>,
        notes: &mut Vec<String>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let cluster = read_cluster(&mut fields, problems);
        let discovery = Discovery::read(&mut fields, accepted, notes, problems);
        let credentials = read_headers(&mut fields, problems);
        let limits = Limits::read(&mut fields, usual_max_stale, problems);
        fields.deny_unknown(problems);
        Some(Self {
            cluster: cluster?,
            place: KeyLocation::Discovered(discovery?),
            credentials: credentials?,
            limits: limits?,
        })
    }
}

fn read_headers(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Vec<Credential>> {
    fields.or_default("headers", Vec::new(), problems, Credential::read_all)
}

impl Limits {
    /// How long a response is good, of which the sender says that it is good for `age`.
    pub(in crate::authn) fn pause(&self, age: Option<Duration>) -> Duration {
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
