//! Explanations: what the filter made of a request, told in the answer to whoever may ask.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use crate::address::Range;
use crate::config::header::read_claimed;
use crate::config::{Node, Problems};
use crate::exchange::{Edit, Facts};
use crate::headers::{HeaderName, HeaderValue, Headers};
use crate::host::Host;
use crate::stream::Said;

/// `explain`: who may ask, and how.
#[derive(Debug)]
pub struct Explain {
    header: HeaderName,
    secret: Option<[u8; 32]>,
    addresses: Vec<Range>,
    answer: HeaderName,
}

/// The field of the answer.
const ANSWER: &str = "x-portcullis-explain";

/// A secret has at least so many bytes; a shorter one is wrong even if its hash is right.
const SHORTEST_SECRET: usize = 32;

impl Explain {
    /// Reads the block.
    pub(crate) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let header = fields.required("header", problems);
        let header = header.and_then(|node| read_claimed(&node, problems));
        let secret = fields.or("secret_sha256", None, problems, |node, problems| {
            let hash = read_hash(node.text(problems)?);
            if hash.is_none() {
                node.report(
                    problems,
                    "must be the SHA-256 of the secret, 64 hexadecimal digits",
                );
            }
            hash.map(Some)
        });
        let addresses = fields.or("addresses", Vec::new(), problems, |node, problems| {
            node.list(problems, |item, problems| {
                let range = Range::parse(item.text(problems)?);
                if range.is_none() {
                    item.report(
                        problems,
                        "must be an address, or a range such as \"10.0.0.0/8\" without bits behind its prefix",
                    );
                }
                range
            })
        });
        let (header, secret, addresses) = (header?, secret?, addresses?);
        if secret.is_none() && addresses.is_empty() {
            problems.report(
                fields.pointer(),
                "says nothing of who may ask: add `secret_sha256`, or `addresses`",
            );
            return None;
        }
        fields.finish(problems);
        Some(Self {
            header,
            secret,
            addresses,
            answer: HeaderName::parse(ANSWER).ok()?,
        })
    }

    /// The field that asks.
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// Whether a request asks for an explanation, and may.
    pub(crate) fn may_ask(&self, headers: &Headers, facts: &Facts, host: &dyn Host) -> bool {
        let Ok(Some(given)) = headers.one(self.header.as_str()) else {
            return false;
        };
        let knows = self.secret.as_ref().is_none_or(|secret| {
            let hash = hmac_sha256::Hash::hash(given);
            let differ = hash.iter().zip(secret).fold(0, |all, (a, b)| all | (a ^ b));
            differ == 0 && given.len() >= SHORTEST_SECRET
        });
        knows && (self.addresses.is_empty() || self.is_near(facts.client(host)))
    }

    fn is_near(&self, client: Option<IpAddr>) -> bool {
        client.is_some_and(|client| self.addresses.iter().any(|range| range.contains(client)))
    }

    /// The fields of the answer: one for the route, one for each policy that was asked.
    pub(crate) fn tell(
        &self,
        route: Option<&str>,
        asked: &[(&'static str, Said)],
        times: &[(&'static str, Duration)],
        refusal: Option<(&str, &str)>,
    ) -> Vec<Edit> {
        let mut edits = vec![Edit::Remove(self.answer.clone())];
        // A cache would tell it to others.
        let fresh = HeaderName::parse("cache-control").ok();
        let no_store = HeaderValue::parse(b"no-store").ok();
        edits.extend(
            fresh
                .zip(no_store)
                .map(|(name, value)| Edit::Set(name, value)),
        );
        let mut tell = |text: String| {
            // A name of a route may have bytes that no field can.
            if let Ok(value) = HeaderValue::parse(text.as_bytes()) {
                edits.push(Edit::Add(self.answer.clone(), value));
            }
        };
        let mut first = match route {
            Some(route) => format!("route={route}"),
            None => "no route".to_owned(),
        };
        if let Some((code, reason)) = refusal {
            let _ = write!(first, "; code={code}; reason={reason}");
        }
        tell(first);
        for (policy, said) in asked {
            let mut text = format!("policy={policy}; verdict={}", said.name());
            let mut spent = times.iter().filter(|(name, _)| name == policy).peekable();
            if spent.peek().is_some() {
                let micros = spent.map(|(_, time)| time.as_micros()).sum::<u128>();
                let _ = write!(text, "; us={micros}");
            }
            tell(text);
        }
        edits
    }
}

fn read_hash(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    let digits = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    for (byte, place) in hash.iter_mut().zip((0..64).step_by(2)) {
        let end: usize = place + 2;
        *byte = u8::from_str_radix(text.get(place..end)?, 16).ok()?;
    }
    digits.then_some(hash)
}
