//! What the document says of how a server is asked, and for how long its answers are believed.

use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

use super::request::{ClientAuthentication, Endpoint};
use portcullis_document::{Fields, Problems};
use portcullis_exchange::http_uri::Uri;

/// What becomes of a request of whose token nobody can tell whether it is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnAskError {
    /// It is refused.
    Deny,
    /// It passes, and nobody is said to call.
    Allow,
}

/// For how long what a server does is gone by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetimes {
    /// The longest time for which an active token is not asked about again.
    accepted: Duration,
    /// The same for one that is not accepted.
    pub(super) of_rejected: Duration,
    /// How long a server is left alone that has failed too often.
    pub(super) cooldown: Duration,
}

impl Lifetimes {
    /// Reads `cache_duration`, `negative_cache_duration` and `cooldown`.
    pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        let seconds = Duration::from_secs;
        let mut read = |name, usual, range: RangeInclusive<Duration>| {
            read_duration(name, usual, range, fields, problems)
        };
        let longest = Duration::ZERO..=seconds(86_400);
        let accepted = read("cache_duration", seconds(60), longest);
        let longest = Duration::ZERO..=seconds(600);
        let of_rejected = read("negative_cache_duration", seconds(5), longest);
        let cooldown = read("cooldown", seconds(5), seconds(1)..=seconds(600));
        Some(Self {
            accepted: accepted?,
            of_rejected: of_rejected?,
            cooldown: cooldown?,
        })
    }

    /// For how long an active token is believed of which the server says at `now` that it expires then, in
    /// seconds since the epoch. RFC 7662 §4: no longer than that.
    pub(super) fn of_accepted(&self, expires: Option<f64>, now: Duration) -> Duration {
        let left = expires.map(|expires| expires - now.as_secs_f64());
        let left = left.map_or(Duration::MAX, |left| {
            Duration::try_from_secs_f64(left).unwrap_or_default()
        });
        self.accepted.min(left)
    }
}

/// Reads `cluster`, `uri`, `authentication` and `timeout`.
pub(super) fn read_endpoint(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Endpoint> {
    let cluster = fields.required("cluster", problems);
    let cluster = cluster.and_then(|node| node.non_empty(problems).map(Rc::from));
    let uri = fields
        .required("uri", problems)
        .and_then(|node| Uri::read(&node, problems));
    let client = fields
        .required("authentication", problems)
        .and_then(|node| ClientAuthentication::read(&node, problems));
    let timeout = read_duration(
        "timeout",
        Duration::from_secs(2),
        Duration::from_millis(50)..=Duration::from_secs(30),
        fields,
        problems,
    );
    Some(Endpoint {
        cluster: cluster?,
        uri: uri?,
        client: client?,
        timeout: timeout?,
    })
}

fn read_duration(
    name: &'static str,
    usual: Duration,
    range: RangeInclusive<Duration>,
    fields: &mut Fields<'_>,
    problems: &mut Problems,
) -> Option<Duration> {
    fields.or_default(name, usual, problems, |node, problems| {
        let duration = node.duration(problems)?;
        if !range.contains(&duration) {
            let (low, high) = (range.start(), range.end().as_secs());
            match low.subsec_millis() {
                0 => {
                    let low = low.as_secs();
                    node.report(problems, format_args!("must be from {low}s to {high}s"));
                }
                low => node.report(problems, format_args!("must be from {low}ms to {high}s")),
            }
            return None;
        }
        Some(duration)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7662 §4: what is remembered of a token ends with `exp` at the latest.
    #[test]
    fn a_token_is_believed_no_longer_than_it_lives() {
        let seconds = Duration::from_secs;
        let lifetimes = Lifetimes {
            accepted: seconds(60),
            of_rejected: seconds(5),
            cooldown: seconds(5),
        };
        let now = seconds(1_000_000);
        for (expires, believed) in [
            (None, 60),
            (Some(1_000_030.0), 30),
            (Some(1_000_600.0), 60),
            (Some(1_000_000.0), 0),
            (Some(5.0), 0),
            (Some(f64::INFINITY), 0),
        ] {
            let found = lifetimes.of_accepted(expires, now);
            assert_eq!(found, seconds(believed), "{expires:?}");
        }
    }
}
