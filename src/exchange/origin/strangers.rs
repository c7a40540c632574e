//! Whether an expression accepts origins of people whom the operator cannot know.
//!
//! It is not its spelling that tells: `^https://.*$`, `^[a-z]+://[^/]+$` and a forgotten backslash all
//! let strangers in. So it is asked: with origins that nobody would list, and with [`samples`] of what
//! it accepts, changed as an attacker would change them who looks for a name that can still be had. What
//! it says yes to is the proof, and stands in the message.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::str::FromStr as _;

use super::Origin;
use super::{public_suffix, samples};
use portcullis_wire::effort::{Effort, TooCostly};
use portcullis_wire::regex::{Regex, Trials};

/// What an expression accepts that the operator may not have meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    /// An origin that anybody could have.
    pub(super) stranger: Option<String>,
    /// An origin without TLS that is not the user's own machine.
    pub(super) cleartext: Option<String>,
}

/// What has been found out of a document's expressions, each once, and what that may still cost.
#[derive(Debug)]
pub(super) struct Strangers {
    known: BTreeMap<usize, Result<Accepted, TooCostly>>,
    left: u64,
}

/// What looking through one expression may cost, and through all of a document.
const STEPS: u64 = 4_000_000;
const STEPS_OF_ALL: u64 = 20_000_000;

/// Origins of nobody in particular.
const NOBODY: [&str; 10] = [
    "https://evil.example",
    "http://evil.example",
    "https://qzxvwk740931.com",
    "https://qzxvwk740931.net",
    "https://qzxvwk740931.co.uk",
    "https://evil.example:8443",
    "http://evil.example:8080",
    "https://203.0.113.7",
    "http://203.0.113.7",
    "https://[2001:db8::7]",
];

/// As many names may an expression leave open that can be registered, by single characters: `[0-9]`
/// in one of the operator's own.
const MOST_NAMES: usize = 20;

/// Letters and digits that stand for all, where a position is tried.
const TRIED: [u8; 4] = *b"qvd7";

/// Runs that no listed name has.
const RUNS: [&str; 2] = ["qzxvwk", "740931"];

impl Default for Strangers {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
            left: STEPS_OF_ALL,
        }
    }
}

impl Strangers {
    /// What an expression accepts; an error when that is too much work to find out.
    pub(super) fn among(&mut self, regex: &Regex, pattern: &str) -> Result<Accepted, TooCostly> {
        if let Some(known) = self.known.get(&regex.address()) {
            return known.clone();
        }
        let given = STEPS.min(self.left);
        let effort = Effort::new(given);
        let looked = look(regex, pattern, &effort);
        self.left = self
            .left
            .saturating_sub(given.saturating_sub(effort.left()));
        self.known.insert(regex.address(), looked.clone());
        looked
    }
}

fn look(regex: &Regex, pattern: &str, effort: &Effort) -> Result<Accepted, TooCostly> {
    let asked = Probe {
        trials: RefCell::new(regex.trials()),
        effort,
    };
    let mut accepted = Accepted::default();
    for probe in NOBODY {
        if asked.accepts(probe)? {
            accepted.stranger = Some(probe.to_owned());
            return Ok(accepted);
        }
    }
    samples::each(pattern, effort, |sample| {
        if !asked.accepts(sample)? {
            return Ok(false);
        }
        if accepted.cleartext.is_none() {
            accepted.cleartext = asked.cleartext(sample)?;
        }
        accepted.stranger = asked.stranger_like(sample)?;
        Ok(accepted.stranger.is_some())
    })?;
    Ok(accepted)
}

/// Whether a host is the machine on which the browser runs.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host == "[::1]"
        || Ipv4Addr::from_str(host).is_ok_and(|address| address.is_loopback())
}

/// Whether pages of an origin come without TLS from another machine.
pub(super) fn is_cleartext(origin: &Origin<'_>) -> bool {
    origin.scheme == "http" && !is_loopback(origin.host)
}

/// An expression that is asked.
struct Probe<'a> {
    trials: RefCell<Trials<'a>>,
    effort: &'a Effort,
}

/// An origin that is accepted, taken apart at the part of its host that somebody has registered.
struct Parts<'o> {
    before: &'o str,
    registered: &'o str,
    port: &'o str,
}

impl Probe<'_> {
    /// As an `Origin` field is judged: what is no origin never meets the expression.
    fn accepts(&self, text: &str) -> Result<bool, TooCostly> {
        self.effort.spend(text.len() as u64)?;
        if Origin::parse(text).is_err() {
            return Ok(false);
        }
        let mut trials = self.trials.try_borrow_mut().map_err(|_| TooCostly)?;
        trials.is_match(text, self.effort)
    }

    /// The sample without TLS, if it is accepted so.
    fn cleartext(&self, sample: &str) -> Result<Option<String>, TooCostly> {
        let (_, rest) = sample.split_once("://").unwrap_or_default();
        let text = format!("http://{rest}");
        let is_cleartext = Origin::parse(&text).is_ok_and(|origin| is_cleartext(&origin));
        Ok((is_cleartext && self.accepts(&text)?).then_some(text))
    }

    /// An origin that differs from an accepted one in what somebody has registered, and is accepted.
    fn stranger_like(&self, sample: &str) -> Result<Option<String>, TooCostly> {
        self.effort.spend(public_suffix::STEPS)?;
        let Some(parts) = Parts::of(sample) else {
            return Ok(None);
        };
        let Parts {
            before,
            registered,
            port,
        } = parts;
        for behind in [".evil.example", "-evil.example", "evil.example"] {
            let longer = format!("{before}{registered}{behind}{port}");
            if self.accepts(&longer)? {
                return Ok(Some(longer));
            }
        }
        let mut names = 1_usize;
        let mut evidence = None;
        for place in 0..=registered.len() {
            let Some((head, tail)) = registered.split_at_checked(place) else {
                continue;
            };
            let put = |new: &str, tail: &str| format!("{before}{head}{new}{tail}{port}");
            for run in RUNS {
                let longer = put(run, tail);
                if self.accepts(&longer)? && parts.is_other(&longer) {
                    return Ok(Some(longer));
                }
            }
            let (added, one) = self.count(&|new| put(new, tail))?;
            let (other, another) = match tail.split_at_checked(1) {
                Some((old, rest)) if old != "." => self.count(&|new| put(new, rest))?,
                _ => (0, None),
            };
            names = names.saturating_mul(other.max(1)).saturating_add(added);
            evidence = another.or(one).or(evidence);
        }
        Ok(evidence.filter(|_| names > MOST_NAMES))
    }

    /// How many letters and digits make an origin that is accepted, and one of those origins.
    fn count(&self, with: &dyn Fn(&str) -> String) -> Result<(usize, Option<String>), TooCostly> {
        let accepted = |byte: u8| {
            let text = with(char::from(byte).encode_utf8(&mut [0; 4]));
            Ok(self.accepts(&text)?.then_some(text))
        };
        let mut first = None;
        for byte in TRIED {
            first = first.or(accepted(byte)?);
        }
        if first.is_none() {
            return Ok((0, None));
        }
        let mut count = 0_usize;
        for byte in (b'a'..=b'z').chain(b'0'..=b'9') {
            count = count.saturating_add(usize::from(accepted(byte)?.is_some()));
        }
        Ok((count, first))
    }
}

impl<'o> Parts<'o> {
    /// None for an origin whose host nobody registers: an address, the user's own machine.
    fn of(origin: &'o str) -> Option<Self> {
        let Origin { host, .. } = Origin::parse(origin).ok()?;
        if host.starts_with('[') || Ipv4Addr::from_str(host).is_ok() || is_loopback(host) {
            return None;
        }
        let registered = public_suffix::registrable(host).unwrap_or(host);
        let start = origin.find("://")?.checked_add(3)?;
        let end = start.checked_add(host.len())?;
        let before = end.checked_sub(registered.len())?;
        Some(Self {
            before: origin.get(..before)?,
            registered,
            port: origin.get(end..)?,
        })
    }

    /// Whether an origin belongs to a stranger.
    fn is_other(&self, origin: &str) -> bool {
        Parts::of(origin).is_some_and(|other| other.registered != self.registered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(pattern: &str) -> Accepted {
        let regex = Regex::compile(&format!("^(?:{pattern})$"), false).unwrap();
        Strangers::default().among(&regex, pattern).unwrap()
    }

    #[test]
    fn strangers_are_found_however_they_are_let_in() {
        for pattern in [
            "^.*$",
            "^https://.*$",
            "^https?://.+$",
            "^[a-z]+://[^/]+$",
            r"^https://[^.]+\.[a-z]{2,}$",
            r"^https://[\w.-]+$",
            r"^https://.*example\.com$",
            r"^https://[a-z-]*example\.com$",
            r"^https://example\.com.*$",
            r"^https://example\.com\S{0,20}$",
            r"^https://(?:app\.)?example[^/]com$",
            r"^https://app[\s\S]example\.com$",
            r"^https://example\.[a-z]+$",
            r"^https://example-[a-z0-9]+\.com$",
            r"^https://[a-f0-9]{40}\.com$",
            r"^https://example[0-9]{1,3}\.com$",
            r"^https://[a-z0-9-]+\.github\.io$",
            r"^https://.+\.co\.uk$",
            r"^https://app-[a-z0-9]{9}-team\.vercel\.app$",
            r"^https://(?:app\.example\.com|shop\.example\.org|.*\.net)$",
            r"^https://a\.example\.com(?::[0-9]+|\.[a-z.]+)?$",
            r"^https://(?:[a-z]{3}\.)?(?:example|.{7})\.com$",
            r"^http://[0-9.]+$",
            "^https://[^:]+$",
        ] {
            let found = accepted(pattern).stranger;
            let regex = Regex::compile(&format!("^(?:{pattern})$"), false).unwrap();
            let proof = found.unwrap_or_else(|| panic!("{pattern} lets nobody in"));
            assert!(Origin::parse(&proof).is_ok(), "{pattern}: {proof}");
            assert_eq!(
                regex.is_match(&proof, &Effort::new(10_000)),
                Ok(true),
                "{pattern}: {proof}"
            );
        }
    }

    #[test]
    fn the_operators_own_are_no_strangers() {
        let hosts: Vec<String> = (0..300).map(|n| format!("shop{n}-{}", n % 7)).collect();
        let many = format!(r"^https://(?:{})\.example\.com$", hosts.join("|"));
        for pattern in [
            r"^https://app\.example\.com$",
            r"^https://.*\.example\.com$",
            r"^https://(?:.*\.)?example\.com$",
            r"^https://[^.]+\.example\.(?:com|org|co\.uk)$",
            r"^https://pr-[0-9]+\.preview\.example\.com$",
            r"^https://(?:app|shop)[0-9]?\.example\.com(?::[0-9]+)?$",
            r"^https://(?:app\.example\.com|shop\.example\.org)$",
            r"^https://example[0-9]\.com$",
            r"^https://pr-[0-9]+\.team\.pages\.dev$",
            r"^http://localhost:[0-9]+$",
            r"^https?://(?:.+\.)?localhost(?::[0-9]+)?$",
            r"^http://127\.0\.0\.1:[0-9]{4,5}$",
            r"^http://10\.0\.0\.[0-9]+$",
            many.as_str(),
        ] {
            assert_eq!(accepted(pattern).stranger, None, "{pattern}");
        }
    }

    #[test]
    fn pages_without_tls_are_found() {
        for (pattern, expected) in [
            (
                r"^https?://app\.example\.com$",
                Some("http://app.example.com"),
            ),
            (
                r"^[a-z]*://app\.example\.com$",
                Some("http://app.example.com"),
            ),
            (
                r"^http://app\.example\.com:[0-9]+$",
                Some("http://app.example.com:1"),
            ),
            (r"^https://app\.example\.com$", None),
            (r"^http://localhost:[0-9]+$", None),
            (r"^http://127\.0\.0\.1$", None),
        ] {
            assert_eq!(
                accepted(pattern).cleartext.as_deref(),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn what_it_costs_does_not_depend_on_what_was_known() {
        let pattern = r"^https://(?:[a-z]+-)?[a-z]+[0-9]\.(?:app|shop)\.example\.com(?::[0-9]+)?$";
        let regex = Regex::compile(&format!("^(?:{pattern})$"), false).unwrap();
        let cost = || {
            let mut strangers = Strangers::default();
            strangers.among(&regex, pattern).unwrap();
            STEPS_OF_ALL - strangers.left
        };
        let first = cost();
        for n in 0..100 {
            let text = format!("https://abc-x{n}.shop.example.com:{n}");
            regex.is_match(&text, &Effort::new(100_000)).unwrap();
        }
        assert_eq!((cost(), first > 1000), (first, true));
    }

    #[test]
    fn what_is_too_much_work_is_not_decided() {
        let hosts: Vec<String> = (0..1500).map(|n| format!("{n}x{}", n % 10)).collect();
        let pattern = format!(r"^https://(?:{})\.example\.com$", hosts.join("|"));
        let regex = Regex::compile(&format!("^(?:{pattern})$"), false).unwrap();
        let mut strangers = Strangers::default();
        assert_eq!(strangers.among(&regex, &pattern), Err(TooCostly));
        assert!(strangers.left >= STEPS_OF_ALL - STEPS);
        let left = strangers.left;
        assert_eq!(strangers.among(&regex, &pattern), Err(TooCostly));
        assert_eq!(strangers.left, left, "it is asked once");
    }
}
