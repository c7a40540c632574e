//! Gradual roll-out: what is in force for a share of requests, and in shadow mode for all others.

use std::cell::{Cell, OnceCell};
use std::net::IpAddr;
use std::rc::Rc;

use crate::condition::read_header_name;
use crate::enforcement::Mode;
use crate::exchange::Facts;
use crate::gauges::{Aggregation, Gauges};
use crate::host::Host;
use portcullis_document::{Fields, Node, Problems, Quoted};
use portcullis_wire::address::network;
use portcullis_wire::headers::{HeaderName, Headers};
use portcullis_wire::json::Json;
use portcullis_wire::json::compact::Value;

/// What `mode`, `percent` and `percent_by` say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// Shadow if it is in force for nobody.
    pub mode: Mode,
    /// For which share it is in force, if neither for all nor for none.
    pub partial: Option<PartialRollout>,
}

/// A share of requests, neither all nor none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialRollout {
    percent: u8,
    by: RolloutKey,
    /// Whether `percent_by` is written.
    says_by: bool,
}

/// By what the share of a request is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RolloutKey {
    /// Who calls, else the network from which it calls.
    Caller,
    /// The network of the client.
    Address,
    /// Each request for itself.
    Request,
    /// A field of the request, which its sender chooses.
    Header(HeaderName),
}

/// Of whom shares are drawn: one request.
pub struct RolloutSubject<'s> {
    facts: &'s Facts,
    headers: &'s Headers,
    host: &'s dyn Host,
    /// A hash of who calls, else of the network it calls from; none if neither is known.
    caller: OnceCell<Option<u64>>,
}

/// How many requests met something that is rolled out, and how many did not.
#[derive(Debug, Default)]
pub struct RolloutCounts {
    enforced: Cell<u64>,
    shadow: Cell<u64>,
}

impl Rollout {
    /// All or nothing.
    pub fn of(mode: Mode) -> Self {
        Self {
            mode,
            partial: None,
        }
    }

    /// Reads `mode`, `percent` and `percent_by`; `usual` is the mode where nothing is said.
    pub fn read(fields: &mut Fields<'_>, usual: Mode, problems: &mut Problems) -> Option<Self> {
        let written = fields.optional("mode");
        let mode = match &written {
            None => Some(usual),
            Some(node) => Mode::read(node, problems),
        };
        let percent = fields.optional("percent");
        let by = fields.optional("percent_by");
        let key = match &by {
            None => Some(RolloutKey::Caller),
            Some(node) => RolloutKey::read(node, problems),
        };
        let Some(node) = percent else {
            if let Some(by) = by {
                by.report(
                    problems,
                    "says nothing without `percent`; add it, or remove this",
                );
                return None;
            }
            return mode.map(Self::of);
        };
        let percent = node.integer(problems, 0..=100)?;
        if mode? == Mode::Shadow && written.is_some() {
            node.report(
                problems,
                "says nothing beside `mode: shadow`; keep one of them",
            );
            return None;
        }
        let key = key?;
        Some(match u8::try_from(percent).ok()? {
            0 => Self::of(Mode::Shadow),
            percent @ 1..100 => Self {
                mode: Mode::Enforce,
                partial: Some(PartialRollout {
                    percent,
                    by: key,
                    says_by: by.is_some(),
                }),
            },
            100.. => Self::of(Mode::Enforce),
        })
    }
}

impl RolloutKey {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let Json::Object(_) = node.json() else {
            let choices = ["caller", "address", "request"];
            let place = choices
                .iter()
                .enumerate()
                .map(|(place, name)| (*name, place));
            let place: Vec<(&str, usize)> = place.collect();
            return Some(match node.choice(problems, &place)? {
                0 => RolloutKey::Caller,
                1 => RolloutKey::Address,
                _ => RolloutKey::Request,
            });
        };
        let mut fields = node.fields(problems)?;
        let name = fields.required("header", problems);
        let name = name.and_then(|node| read_header_name(&node, problems));
        fields.deny_unknown(problems);
        name.map(RolloutKey::Header)
    }
}

impl PartialRollout {
    /// For how many of a hundred it is in force: from 1 to 99.
    pub fn percent(&self) -> u8 {
        self.percent
    }

    /// Whether each request is drawn for itself.
    pub fn draws(&self) -> bool {
        self.by == RolloutKey::Request
    }

    /// Whether it goes by who calls.
    pub fn goes_by_caller(&self) -> bool {
        self.by == RolloutKey::Caller
    }

    /// Whether the document says by what it goes.
    pub fn says_key(&self) -> bool {
        self.says_by
    }

    /// The field of the document by which it goes by callers.
    pub fn field_of_key(&self) -> &'static str {
        match self.says_by {
            true => "percent_by",
            false => "percent",
        }
    }

    /// What an operator should know of what clients choose of it; `what` it is that is rolled out.
    pub fn choice(&self, what: &str) -> Option<String> {
        let header = Quoted(self.header()?.as_str());
        Some(format!(
            "clients choose the header field {header}, and with it whether {what} is in force for them; go by `caller` once that matters"
        ))
    }

    /// The field by which it goes, if it does.
    pub fn header(&self) -> Option<&HeaderName> {
        match &self.by {
            RolloutKey::Header(name) => Some(name),
            _ => None,
        }
    }
}

impl<'s> RolloutSubject<'s> {
    /// A request with these fields.
    pub fn new(facts: &'s Facts, headers: &'s Headers, host: &'s dyn Host) -> Self {
        Self {
            facts,
            headers,
            host,
            caller: OnceCell::new(),
        }
    }

    /// Whether something of that name is in force for the request; none if nothing is known by which that could
    /// be drawn. It is the same for a key whenever it asks, in every worker and proxy.
    pub fn is_in(&self, rollout: &PartialRollout, name: &str) -> Option<bool> {
        let hash = match &rollout.by {
            RolloutKey::Caller => *self.caller.get_or_init(|| caller(self.facts, self.host)),
            RolloutKey::Address => address(self.facts, self.host),
            RolloutKey::Request => Some(self.facts.draw()),
            RolloutKey::Header(name) => {
                let value = self.headers.one(name.as_str()).ok().flatten();
                value.map(|value| Fnv::default().with(value).0)
            }
        };
        Some(place(hash?, name) < rollout.percent)
    }
}

impl RolloutCounts {
    /// Counts a request.
    pub fn count(&self, is_in: bool) {
        let cell = match is_in {
            true => &self.enforced,
            false => &self.shadow,
        };
        cell.set(cell.get().saturating_add(1));
    }

    /// Shows them under a name.
    pub fn show(counts: &Rc<Self>, name: &str, gauges: &mut Gauges) {
        type Leaf = (&'static str, fn(&RolloutCounts) -> &Cell<u64>);
        const LEAVES: [Leaf; 2] = [
            ("enforced", |counts| &counts.enforced),
            ("shadow", |counts| &counts.shadow),
        ];
        for (leaf, cell) in LEAVES {
            let counts = Rc::clone(counts);
            let name = format!("rollout.{name}.{leaf}");
            gauges.add(&name, Aggregation::Counter, move |_| cell(&counts).get());
        }
    }
}

fn caller(facts: &Facts, host: &dyn Host) -> Option<u64> {
    let principal = facts.principal.as_ref();
    let named = principal.and_then(|principal| {
        let names = ["sub", "client", "client_id"].into_iter();
        let mut names = names.filter_map(|name| principal.attributes.member(name));
        let name = names.find_map(Value::as_str)?;
        Some((&principal.authority, name))
    });
    match named {
        Some((authority, name)) => {
            let hash = Fnv::default().with(authority.as_bytes());
            Some(hash.with(name.as_bytes()).0)
        }
        None => address(facts, host),
    }
}

/// Of IPv6 one client has a whole network.
fn address(facts: &Facts, host: &dyn Host) -> Option<u64> {
    let hash = match network(facts.client(host)?, 32, 64) {
        IpAddr::V4(address) => Fnv::default().with(&address.octets()),
        IpAddr::V6(address) => Fnv::default().with(&address.octets()),
    };
    Some(hash.0)
}

/// A number below a hundred for a key and what is rolled out, whose name is short.
fn place(key: u64, name: &str) -> u8 {
    let hash = Fnv(key).with(name.as_bytes());
    u8::try_from(hash.finish() % 100).unwrap_or_default()
}

/// FNV-1a of 64 bits, mixed at the end. It has to spread, and to be the same everywhere; who may guess it gains
/// nothing but to be among those that something is tried on, or not yet.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn with(mut self, bytes: &[u8]) -> Self {
        // A mark behind each part, so that two parts are not two others.
        for byte in bytes.iter().chain(&[0xff]) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self
    }

    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 33)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_spread() {
        let mut counts = [0_u32; 100];
        for caller in 0..10_000_u32 {
            let hash = Fnv::default().with(format!("user-{caller}").as_bytes());
            counts[usize::from(place(hash.0, "rule"))] += 1;
        }
        let few = counts.iter().min().unwrap();
        let many = counts.iter().max().unwrap();
        assert!(*few > 50 && *many < 160, "{few} {many}");
    }

    fn read(text: &str) -> Option<Rollout> {
        let json = Json::parse(text.as_bytes(), 4).unwrap();
        let mut problems = Problems::default();
        let mut fields = Node::root(&json).fields(&mut problems).unwrap();
        let read = Rollout::read(&mut fields, Mode::Enforce, &mut problems);
        problems.into_result(read).ok()
    }

    #[test]
    fn none_and_all_are_exact() {
        assert_eq!(read(r#"{"percent": 0}"#), Some(Rollout::of(Mode::Shadow)));
        let all = read(r#"{"percent": 100, "percent_by": "request"}"#);
        assert_eq!(all, Some(Rollout::of(Mode::Enforce)));
        let some =
            read(r#"{"mode": "enforce", "percent": 1, "percent_by": {"header": "x-tenant"}}"#);
        assert!(some.unwrap().partial.unwrap().header().is_some());
        for wrong in [
            r#"{"percent": 101}"#,
            r#"{"mode": "shadow", "percent": 50}"#,
            r#"{"percent_by": "caller"}"#,
            r#"{"percent": 5, "percent_by": "user"}"#,
            r#"{"percent": 5, "percent_by": {}}"#,
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
