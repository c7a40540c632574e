//! One limit: what is counted, by what, and what happens when it is reached.

use std::rc::Rc;

use super::algorithm;
use super::charge::ChargedOn;
use super::cost::Cost;
use super::counts::Counts;
use super::delay::LimitDelay;
use super::key::{Caller, Key, KeyError};
use super::named::LimitNames;
use super::refusals;
use super::share::{LimitRollout, LimitShares};
use super::spend::OnError;
use super::table::CounterStore;
use super::tier::{Tier, TierDraft, TierWhen, repeated};
use super::usage::{Usage, Usages, Written};
use portcullis_document::{Fields, Node, Problems, Quoted};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::policy::{EvadableLimit, Stage};
use portcullis_exchange::refusal::Detail;

/// A limit, ready to ask.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) name: Rc<str>,
    /// Where it stands in the document.
    pub(super) pointer: Rc<str>,
    pub(super) key: Key,
    pub(super) missing: Missing,
    /// The last one has no condition.
    pub(super) tiers: Vec<Tier>,
    pub(super) cost: Cost,
    pub(super) charged: ChargedOn,
    pub(super) rollout: LimitRollout,
    pub(super) on_error: OnError,
    /// Whether requests that it has no room for wait.
    pub(super) delay: Option<LimitDelay>,
    pub(super) headers: LimitHeaders,
    pub(super) counts: Rc<Counts>,
    pub(super) usage: Rc<Usage>,
}

/// What to do without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Go on as if the limit were not there.
    Skip,
    /// Count all such requests together.
    Anonymous,
    /// Refuse the request.
    Refuse,
}

/// Which header fields tell clients of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LimitHeaders {
    /// `X-RateLimit-*`
    pub(super) x_ratelimit: bool,
    /// `RateLimit` and `RateLimit-Policy`
    pub(super) ietf: bool,
}

/// Where a limit is written: limits of one name in different places are different limits.
pub(super) struct LimitScope<'p> {
    pub(super) section: &'p str,
    pub(super) name: &'p str,
    /// Where it is counted for metrics.
    pub(super) counts: Rc<Counts>,
    /// What is counted of limits that are for a share of requests.
    pub(super) shares: &'p LimitShares,
    /// Takes where it stands.
    pub(super) usages: &'p Usages,
    /// Whether routes may say for themselves what a request costs.
    pub(super) is_shared: bool,
}

/// The longest name of a limit.
const LONGEST_NAME: usize = 64;

impl Limit {
    /// Reads all fields but `name`.
    pub(super) fn read(
        fields: &mut Fields<'_>,
        place: &LimitScope<'_>,
        named: &LimitNames,
        problems: &mut Problems,
    ) -> Option<Self> {
        let key_node = fields.required("key", problems);
        let key_written = key_node.as_ref().map(|node| node.json().to_string());
        let key = key_node.and_then(|node| Key::read(&node, named, problems));
        let missing = fields.or_default("missing", Missing::Anonymous, problems, Missing::read);
        let rule = algorithm::read(fields, problems);
        let tiers = fields.or_default("tiers", Vec::new(), problems, |node, problems| {
            node.list(problems, |node, problems| {
                TierDraft::read(node, named, problems)
            })
        });
        let charged = fields.or_default("charge", ChargedOn::Request, problems, ChargedOn::read);
        let cost = fields.or_default("cost", Cost::one(), problems, Cost::read);
        let rollout = LimitRollout::read(fields, place.name, place.shares, problems);
        let on_error = fields.or_default("on_error", OnError::Deny, problems, |node, problems| {
            let choices = [("deny", OnError::Deny), ("allow", OnError::Allow)];
            node.choice(problems, &choices)
        });
        let headers =
            fields.or_default("headers", LimitHeaders::NONE, problems, LimitHeaders::read);
        let delay = fields.or_default("on_limit", None, problems, LimitDelay::read);
        let max_entries = fields.or_default("max_entries", None, problems, |node, problems| {
            node.integer(problems, 1..=1 << 24).map(Some)
        });
        let Some(rule) = rule? else {
            algorithm::lacks(fields, problems);
            return None;
        };
        let (key, max_entries) = (key?, max_entries?);
        let max_entries = max_entries.unwrap_or_else(|| key.usual_entries());
        let mut drafts = tiers?;
        if let Some(index) = repeated(&drafts) {
            problems.report(
                &fields.pointer().member("tiers").item(index),
                "an earlier tier has the same condition, so nobody comes to this one",
            );
            return None;
        }
        drafts.push(TierDraft {
            when: None,
            rule: Some(rule),
            name: String::new(),
        });
        let (cost, charged, delay) = (cost?, charged?, delay?);
        if let Some(delay) = &delay {
            for rule in drafts.iter_mut().filter_map(|draft| draft.rule.as_mut()) {
                *rule = delay.of(*rule, fields, problems)?;
            }
        }
        let key_written = key_written?;
        let of_tokens = key.is_of_tokens() || drafts.iter().any(TierDraft::is_of_tokens);
        let issuers = if of_tokens {
            named.providers.issuers()
        } else {
            String::new()
        };
        let charged_on = charged.name();
        let tiers = drafts.into_iter().map(|draft| {
            let owes = (cost.afterwards.is_some() || place.is_shared) && delay.is_none();
            let rule = draft
                .rule
                .map(|rule| if owes { rule.with_debt() } else { rule });
            // Which limit it is, what is charged to it, and who is counted apart: what a state is of.
            let names = [
                place.section,
                place.name,
                &charged_on,
                &key_written,
                &draft.name,
                &issuers,
            ];
            let table = |rule| {
                CounterStore::new(&names, rule, max_entries).counting(Rc::clone(&place.counts))
            };
            Tier {
                when: draft.when,
                table: rule.map(table),
            }
        });
        let limit = Self {
            name: place.name.into(),
            pointer: fields.pointer().to_string().into(),
            key,
            missing: missing?,
            tiers: tiers.collect(),
            cost,
            charged,
            rollout: rollout?,
            on_error: on_error?,
            delay,
            headers: headers?,
            counts: Rc::clone(&place.counts),
            usage: Rc::default(),
        };
        if limit.charged == ChargedOn::Refusal && limit.stage() != Stage::Arrival {
            problems.report(
                &fields.pointer().member("key"),
                "refused credentials prove nothing; with `charge: on_refusal` use \"client_address\" or \"claimed_subject\", and no tiers by claims",
            );
            return None;
        }
        limit.affords(&limit.cost, fields, problems).then_some(())?;
        place.usages.add(limit.written(fields));
        Some(limit)
    }

    /// What it needs of its routes.
    fn written(&self, fields: &Fields<'_>) -> Written {
        let mut written = Written::at(fields);
        written.usage = Rc::clone(&self.usage);
        written.needs_refusals = self.charged == ChargedOn::Refusal;
        written.key_of_version = self.key.place_of_version(&fields.pointer().member("key"));
        let conditions = self.tiers.iter().filter_map(|tier| tier.when.as_ref());
        written.version_tests = conditions.filter_map(TierWhen::version_test).collect();
        written.identity = match (self.key.stage(), self.stage()) {
            (Stage::Identity, _) => Some("key"),
            (_, Stage::Identity) => Some("tiers"),
            _ => None,
        };
        if let Some(remark) = self.cost.remark() {
            written.remarks.push(("cost", remark.into()));
        }
        if let Some(remark) = self.delay.as_ref().and_then(LimitDelay::remark) {
            written.remarks.push(("on_limit", remark.into()));
        }
        let rules = self.tables().map(CounterStore::rule);
        let one_bound = self.delay.as_ref().and_then(|delay| delay.one_bound(rules));
        if let Some((field, text)) = one_bound {
            written.remarks.push((field, text.into()));
        }
        let is_lockout = self.charged.is_lockout();
        let remarks = self.rollout.remarks(&self.key, self.stage(), is_lockout);
        written.remarks.extend(remarks);
        if self.rollout.mode == Mode::Shadow && self.headers != LimitHeaders::NONE {
            let text = "a limit in shadow mode shows in no header field";
            written.remarks.push(("headers", text.into()));
        }
        written
    }

    /// Whether a request of that cost can pass at all, and can be told what it costs.
    pub(super) fn affords(
        &self,
        cost: &Cost,
        fields: &Fields<'_>,
        problems: &mut Problems,
    ) -> bool {
        if self.charged.is_lockout() && (cost.afterwards.is_some() || cost.is_of_query) {
            problems.report(
                &fields.pointer().member("cost"),
                "a limit that counts failures has a cost that is known before; write a number",
            );
            return false;
        }
        if self.delay.is_some() && !LimitDelay::suits(self.charged, cost, fields, problems) {
            return false;
        }
        let least = self.tables().map(|table| table.rule().quota()).min();
        let affords = least.is_none_or(|least| cost.at_first <= least);
        if !affords {
            problems.report(
                &fields.pointer().member("cost"),
                "is more than the limit ever allows; no request would pass",
            );
        }
        affords
    }

    /// What the log says of a refusal by it, and by that tier of it.
    pub(super) fn detail(&self, tier: Option<usize>) -> Detail {
        // The last has no place of its own.
        let written = tier.filter(|tier| tier.saturating_add(1) < self.tiers.len());
        let pointer = match written {
            Some(tier) => format!("{}/tiers/{tier}", self.pointer).into(),
            None => Rc::clone(&self.pointer),
        };
        let detail = refusals::detail(pointer, &self.name, &self.key);
        self.rollout.shared(detail)
    }

    /// When all that it asks for can be known.
    pub(super) fn stage(&self) -> Stage {
        let conditions = self.tiers.iter().filter_map(|tier| tier.when.as_ref());
        let stages = conditions.map(TierWhen::stage);
        stages
            .chain([self.key.stage()])
            .max()
            .unwrap_or(Stage::Arrival)
    }

    /// The roles that its tiers are for, or not for.
    pub(super) fn roles(&self) -> impl Iterator<Item = &str> {
        let conditions = self.tiers.iter().filter_map(|tier| tier.when.as_ref());
        conditions.flat_map(|when| when.roles()).map(|role| &**role)
    }

    /// How clients can evade it. A limit on failures is on whom they guess at, which they do choose.
    pub(super) fn evasions(&self) -> impl Iterator<Item = EvadableLimit> {
        let key = format!("{}/key", self.pointer);
        let by_key = self.key.evasion(self.missing, &key);
        let by_key = by_key.filter(|_| !self.charged.is_lockout());
        let usual = self.tiers.last().and_then(|tier| tier.table.as_ref());
        let is_wider = move |tier: &Tier| match (&tier.table, usual) {
            (None, _) => true,
            (Some(table), Some(usual)) => table.rule().is_wider_than(usual.rule()),
            (Some(_), None) => false,
        };
        let tiers = self.tiers.iter().enumerate();
        let by_tier = tiers.filter(move |(_, tier)| is_wider(tier));
        let by_tier = by_tier.filter_map(|(at, tier)| {
            let header = tier.when.as_ref()?.header()?;
            Some(EvadableLimit {
                place: format!("{}/tiers/{at}/when", self.pointer).into(),
                how: format!(
                    "clients choose the header field {}, and with it a tier that lets more pass",
                    Quoted(header.as_str())
                )
                .into(),
            })
        });
        by_key.into_iter().chain(by_tier)
    }

    /// Whether it bounds every client, whatever they send.
    pub(super) fn bounds_clients(&self) -> bool {
        let is_bound = self.rollout.is_for_all() && !self.charged.is_lockout();
        is_bound && self.evasions().next().is_none()
    }

    /// The tier of a caller, by its place.
    pub(super) fn tier(&self, caller: &Caller<'_>) -> Result<usize, KeyError> {
        for (index, tier) in self.tiers.iter().enumerate() {
            let holds = match &tier.when {
                None => true,
                Some(when) => when.holds(caller)?,
            };
            if holds {
                return Ok(index);
            }
        }
        Ok(self.tiers.len())
    }

    /// The table of a tier; none if its callers are not limited.
    pub(super) fn table(&self, tier: usize) -> Option<&CounterStore> {
        self.tiers.get(tier)?.table.as_ref()
    }

    /// All its tables.
    pub(super) fn tables(&self) -> impl Iterator<Item = &CounterStore> {
        self.tiers.iter().filter_map(|tier| tier.table.as_ref())
    }

    /// What it takes up in the proxy at most.
    pub(super) fn footprint(&self) -> String {
        let cells: u64 = self.tables().map(CounterStore::shards).sum();
        let bytes: u64 = self.tables().map(CounterStore::most_bytes).sum();
        let kibibytes = bytes.div_ceil(1024);
        format!("{cells} cells, at most {kibibytes} KiB")
    }
}

impl Missing {
    /// Reads `missing`.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let choices = [
            ("skip", Missing::Skip),
            ("anonymous", Missing::Anonymous),
            ("refuse", Missing::Refuse),
        ];
        node.choice(problems, &choices)
    }
}

impl LimitHeaders {
    const NONE: LimitHeaders = LimitHeaders {
        x_ratelimit: false,
        ietf: false,
    };

    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let shown = |x_ratelimit, ietf| LimitHeaders { x_ratelimit, ietf };
        let choices = [
            ("none", LimitHeaders::NONE),
            ("x_ratelimit", shown(true, false)),
            ("ietf", shown(false, true)),
            ("both", shown(true, true)),
        ];
        node.choice(problems, &choices)
    }
}

/// Reads the name of a limit, which clients may get to see.
pub fn read_name<'d>(
    written: &'d str,
    node: &Node<'_>,
    problems: &mut Problems,
) -> Option<&'d str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let usable = (1..=LONGEST_NAME).contains(&written.len()) && written.bytes().all(plain);
    if !usable {
        node.report(
            problems,
            format_args!(
                "the name of a limit is made of letters, digits, \"-\", \"_\" and \".\", at most {LONGEST_NAME}"
            ),
        );
    }
    usable.then_some(written)
}
