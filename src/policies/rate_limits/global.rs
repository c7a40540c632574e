//! Keys for a limit that all proxies share. A service keeps it, and the proxy's own rate limit
//! filter asks that service: under the key that we hand over, in a field of the request or in a
//! value for other filters. Proxies with the same document hand over the same keys.

use std::rc::Rc;

use super::algorithm;
use super::key::{Caller, Key, KeyError};
use super::limit::Missing;
use super::named::LimitNames;
use super::refusals;
use super::share::LimitRollout;
use super::shared::SharedLimits;
use super::usage::{Usage, Written};
use crate::owned;
use portcullis_document::{Fields, Node, Problems, Quoted};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::exchange::{Edit, Exchange, FilterStateKey};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{ChainPart, Declaration, Placement, Policy, Stage, Verdict};
use portcullis_exchange::refusal::Refusal;
use portcullis_wire::headers::{HeaderName, HeaderValue};
use portcullis_wire::sort;

/// A limit that is kept elsewhere.
#[derive(Debug)]
pub(super) struct Global {
    name: Rc<str>,
    /// Where it stands in the document.
    pointer: Rc<str>,
    key: Key,
    missing: Missing,
    rollout: LimitRollout,
    cost: u32,
    handover: Handover,
    usage: Rc<Usage>,
}

/// `global: { … }`: where a key goes, and what it looks like.
#[derive(Debug)]
struct Handover {
    header: Option<HeaderName>,
    property: Option<FilterStateKey>,
    form: KeyForm,
    /// The key of all who have none.
    anonymous: HeaderValue,
}

/// What a key looks like to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyForm {
    /// A digest: short, and it does not show what the key is made of.
    Digest,
    /// Readable, so that the service can tell some keys from others.
    Text,
}

/// What is said of a limit that is counted here, beside how.
const COUNTING: [&str; 5] = ["tiers", "charge", "headers", "on_error", "max_entries"];

/// A longer text is handed over as its digest.
const LONGEST_TEXT: usize = 256;

impl Global {
    /// Reads all fields but `name`; `node` is `global`.
    pub(super) fn read(
        name: &str,
        node: &Node<'_>,
        fields: &mut Fields<'_>,
        named: &LimitNames,
        shared: &SharedLimits,
        problems: &mut Problems,
    ) -> Option<Self> {
        let key = fields
            .required("key", problems)
            .and_then(|node| Key::read(&node, named, problems));
        let missing = fields.or_default("missing", Missing::Anonymous, problems, Missing::read);
        let rollout = LimitRollout::read(fields, name, &shared.shares, problems);
        let cost = fields.or_default("cost", 1, problems, |node, problems| {
            u32::try_from(node.integer(problems, 1..=1_000_000_000)?).ok()
        });
        let handover = Handover::read(node, problems);
        let elsewhere = algorithm::names().chain(COUNTING);
        let elsewhere = elsewhere.filter_map(|name| fields.optional(name));
        let elsewhere: Vec<Node<'_>> = elsewhere.collect();
        for node in &elsewhere {
            node.report(
                problems,
                "cannot stand beside `global`: whoever counts decides this",
            );
        }
        let (key, rollout) = (key?, rollout?);
        if key.is_empty() {
            problems.report(
                &fields.pointer().member("key"),
                "there is nothing to hand over; a limit on all requests together is a `generic_key` of the proxy's own filter",
            );
            return None;
        }
        elsewhere.is_empty().then_some(())?;
        let mut written = Written::at(fields);
        written.identity = (key.stage() == Stage::Identity).then_some("key");
        written.key_of_version = key.place_of_version(&fields.pointer().member("key"));
        written
            .remarks
            .extend(rollout.remarks(&key, key.stage(), false));
        let usage = Rc::clone(&written.usage);
        shared.usages.add(written);
        Some(Self {
            name: name.into(),
            pointer: fields.pointer().to_string().into(),
            key,
            missing: missing?,
            rollout,
            cost: cost?,
            handover: handover?,
            usage,
        })
    }

    /// Its name in the document.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn refusal(&self, unkeyed: KeyError) -> Refusal {
        let pointer = Rc::clone(&self.pointer);
        let detail = refusals::detail(pointer, &self.name, &self.key);
        refusals::unkeyed(unkeyed).because(self.rollout.shared(detail))
    }

    /// The part of a chain that hands the key over.
    pub(super) fn into_part(self) -> ChainPart {
        ChainPart {
            stage: self.key.stage(),
            policy: Rc::new(self),
        }
    }

    /// What is handed over; nothing for those whom the limit is not for.
    fn value(&self, caller: &Caller<'_>) -> Result<Option<HeaderValue>, KeyError> {
        let value = match self.handover.form {
            KeyForm::Digest => self.key.digest(caller),
            KeyForm::Text => self.key.header_value(caller, LONGEST_TEXT),
        };
        match (value, self.missing) {
            (Err(KeyError::Missing), Missing::Skip) => Ok(None),
            (Err(KeyError::Missing), Missing::Anonymous) => {
                Ok(Some(self.handover.anonymous.clone()))
            }
            (value, _) => value.map(Some),
        }
    }
}

impl Policy for Global {
    fn placed(&self, route: Placement<'_>) {
        self.usage.placed(&route);
    }

    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let value = self.value(&Caller {
            request: exchange.request,
            route: exchange.route,
            facts: exchange.facts,
            host,
        });
        match (value, self.rollout.mode_for(exchange, host)) {
            (Ok(Some(value)), Mode::Enforce) => {
                let header = self.handover.header.clone();
                let header = header.map(|name| Edit::Set(name, value.clone()));
                let property = self.handover.property.clone();
                let property = property.map(|name| Edit::FilterState(name, value));
                let hits = (self.cost > 1).then_some(Edit::HitsAddend(self.cost));
                let edits = header.into_iter().chain(property).chain(hits);
                exchange.edits.extend(edits);
            }
            (Ok(_), _) => {}
            (Err(unkeyed), Mode::Enforce) => return Verdict::Refuse(self.refusal(unkeyed)),
            (Err(unkeyed), Mode::Shadow) => exchange.shadow.push(self.refusal(unkeyed)),
        }
        Verdict::Pass
    }

    fn declares(&self) -> Declaration {
        let key = format!("{}/key", self.pointer);
        let evasion = self.key.evasion(self.missing, &key);
        let mut declared = Declaration {
            counts_claimants: self.key.has_claimed_subject(),
            bounds_clients: evasion.is_none() && self.rollout.is_for_all(),
            evadable: evasion.into_iter().collect(),
            draws: self.rollout.draws(),
            ..Declaration::default()
        };
        if self.rollout.mode == Mode::Enforce {
            declared
                .owned_request_headers
                .extend(self.handover.header.clone());
            declared.exports.extend(self.handover.property.clone());
        }
        declared
    }
}

impl Handover {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let header = fields.or_default("header", None, problems, |node, problems| {
            owned::read_header(node, problems).map(Some)
        });
        let property = fields.or_default("filter_state", None, problems, |node, problems| {
            owned::read_property(node, problems).map(Some)
        });
        let form = fields.or_default("form", KeyForm::Digest, problems, |node, problems| {
            node.choice(
                problems,
                &[("digest", KeyForm::Digest), ("text", KeyForm::Text)],
            )
        });
        fields.deny_unknown(problems);
        let handover = Self {
            header: header?,
            property: property?,
            form: form?,
            // Texts and digests of keys have a `=`.
            anonymous: HeaderValue::parse(b"anonymous").ok()?,
        };
        if handover.header.is_none() && handover.property.is_none() {
            problems.lacks(node.pointer(), "needs \"header\", \"filter_state\" or both");
            return None;
        }
        Some(handover)
    }
}

/// Whether each limit of a route has a place of its own for its key, and all have one cost.
pub(super) fn check(limits: &[Global], block: &Node<'_>, problems: &mut Problems) -> Option<()> {
    if limits
        .windows(2)
        .any(|pair| matches!(pair, [one, other] if one.cost != other.cost))
    {
        block.report(
            problems,
            "the limits that are kept elsewhere differ in `cost`; the proxy asks for all of them with one",
        );
        return None;
    }
    let handovers = || limits.iter().map(|limit| &limit.handover);
    let headers = handovers().filter_map(|handover| handover.header.as_ref());
    let properties = handovers().filter_map(|handover| handover.property.as_ref());
    let mut taken: Vec<&str> = headers
        .map(HeaderName::as_str)
        .chain(properties.map(FilterStateKey::as_str))
        .collect();
    sort::sort(&mut taken, Ord::cmp);
    let twice = taken.windows(2).find_map(|pair| match pair {
        [one, other] if one == other => Some(*one),
        _ => None,
    });
    if let Some(twice) = twice {
        let twice = Quoted(twice);
        block.report(problems, format_args!("two keys would go into {twice}"));
        return None;
    }
    Some(())
}
