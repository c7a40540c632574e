//! One limit: what is counted, by what, and what happens when it is reached.

use std::rc::Rc;

use super::counts::Counts;
use super::key::{Caller, Key, Unkeyed};
use super::rule::Rule;
use super::seed::plain_hash;
use super::spend::OnError;
use super::table::Table;
use super::tier::{Tier, TierDraft, read_rule};
use crate::config::{Fields, Node, Problems};
use crate::engine::Mode;
use crate::headers::HeaderName;
use crate::policy::Stage;
use crate::policy::jwt::Providers;
use crate::route::read_header_name;

/// A limit, ready to ask.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) name: Rc<str>,
    pub(super) key: Key,
    pub(super) missing: Missing,
    /// The last one has no condition.
    pub(super) tiers: Vec<Tier>,
    pub(super) cost: Cost,
    pub(super) charged: ChargedOn,
    pub(super) mode: Mode,
    pub(super) on_error: OnError,
    pub(super) headers: Shown,
    pub(super) counts: Rc<Counts>,
}

/// What a request costs.
#[derive(Clone, Debug)]
pub(super) struct Cost {
    /// What is charged when the request comes.
    pub(super) at_first: u64,
    /// The field of the answer that says what it came to.
    pub(super) afterwards: Option<HeaderName>,
}

/// What to do without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Go on as if the limit were not there.
    Skip,
    /// Count all such requests together.
    Anonymous,
    /// Refuse the request.
    Refuse,
}

/// Which requests are charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChargedOn {
    /// All.
    Request,
    /// Those whose credentials were refused.
    Refusal,
}

/// Which header fields tell clients of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// `X-RateLimit-*`
    pub(super) x_ratelimit: bool,
    /// `RateLimit` and `RateLimit-Policy`
    pub(super) ietf: bool,
}

/// Where a limit is written: limits of one name in different places are different limits.
pub(super) struct Place<'p> {
    pub(super) section: &'p str,
    pub(super) name: &'p str,
    /// Where it is counted for metrics.
    pub(super) counts: Rc<Counts>,
}

/// The longest name of a limit.
const LONGEST_NAME: usize = 64;

impl Limit {
    /// Reads all fields but `name`.
    pub(super) fn read(
        fields: &mut Fields<'_>,
        place: &Place<'_>,
        providers: &Providers,
        problems: &mut Problems,
    ) -> Option<Self> {
        let key = fields
            .required("key", problems)
            .and_then(|node| Key::read(&node, providers, problems));
        let missing = fields.or("missing", Missing::Anonymous, problems, Missing::read);
        let rule = read_rule(fields, problems);
        let tiers = fields.or("tiers", Vec::new(), problems, |node, problems| {
            node.list(problems, TierDraft::read)
        });
        let charged = fields.or("charge", ChargedOn::Request, problems, |node, problems| {
            let choices = [
                ("on_request", ChargedOn::Request),
                ("on_refusal", ChargedOn::Refusal),
            ];
            node.choice(problems, &choices)
        });
        let cost = fields.or("cost", Cost::one(), problems, Cost::read);
        let mode = fields.or("mode", Mode::Enforce, problems, Mode::read);
        let on_error = fields.or("on_error", OnError::Deny, problems, |node, problems| {
            let choices = [("deny", OnError::Deny), ("allow", OnError::Allow)];
            node.choice(problems, &choices)
        });
        let headers = fields.or("headers", Shown::NONE, problems, Shown::read);
        let max_entries = fields.or("max_entries", None, problems, |node, problems| {
            node.integer(problems, 1..=1 << 24).map(Some)
        });
        let Some(rule) = rule? else {
            fields.lacks(
                &["token_bucket", "sliding_window"],
                problems,
                "needs \"token_bucket\" or \"sliding_window\"",
            );
            return None;
        };
        let (key, max_entries) = (key?, max_entries?);
        let max_entries = max_entries.unwrap_or_else(|| key.usual_entries());
        let mut drafts = tiers?;
        drafts.push(TierDraft {
            when: None,
            rule: Some(rule),
            name: String::new(),
        });
        let cost = cost?;
        let tiers = drafts.into_iter().map(|draft| {
            let named = [place.section, place.name, &draft.name].join("\0");
            let rule = draft.rule.map(|rule| match cost.afterwards {
                None => rule,
                Some(_) => rule.with_debt(),
            });
            let table = |rule| {
                let name = format!("{:016x}", plain_hash(named.as_bytes()));
                Table::new(&name, rule, max_entries).counting(Rc::clone(&place.counts))
            };
            Tier {
                when: draft.when,
                table: rule.map(table),
            }
        });
        let limit = Self {
            name: place.name.into(),
            key,
            missing: missing?,
            tiers: tiers.collect(),
            cost,
            charged: charged?,
            mode: mode?,
            on_error: on_error?,
            headers: headers?,
            counts: Rc::clone(&place.counts),
        };
        if limit.charged == ChargedOn::Refusal && limit.cost.afterwards.is_some() {
            problems.report(
                &fields.pointer().member("cost"),
                "a limit that refusals are charged to has no answer of the service to wait for; write a number",
            );
            return None;
        }
        let is_early = limit.stage() == Stage::Arrival;
        if limit.charged == ChargedOn::Refusal && !is_early {
            problems.report(
                &fields.pointer().member("key"),
                "refused credentials prove nothing; with `charge: on_refusal` use \"client_address\" or \"claimed_subject\", and no tiers by claims",
            );
            return None;
        }
        limit
            .affords(&limit.cost, fields, problems)
            .then_some(limit)
    }

    /// Whether a request of that cost can pass at all.
    pub(super) fn affords(
        &self,
        cost: &Cost,
        fields: &Fields<'_>,
        problems: &mut Problems,
    ) -> bool {
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

    /// When all that it asks for can be known.
    pub(super) fn stage(&self) -> Stage {
        let conditions = self.tiers.iter().filter_map(|tier| tier.when.as_ref());
        let stages = conditions.map(|condition| condition.stage());
        stages
            .chain([self.key.stage()])
            .max()
            .unwrap_or(Stage::Arrival)
    }

    /// The tier of a caller, by its place.
    pub(super) fn tier(&self, caller: &Caller<'_>) -> Result<usize, Unkeyed> {
        for (index, tier) in self.tiers.iter().enumerate() {
            let holds = match &tier.when {
                None => true,
                Some(condition) => condition.holds(caller)?,
            };
            if holds {
                return Ok(index);
            }
        }
        Ok(self.tiers.len())
    }

    /// The table of a tier; none if its callers are not limited.
    pub(super) fn table(&self, tier: usize) -> Option<&Table> {
        self.tiers.get(tier)?.table.as_ref()
    }

    /// All its tables.
    pub(super) fn tables(&self) -> impl Iterator<Item = &Table> {
        self.tiers.iter().filter_map(|tier| tier.table.as_ref())
    }

    /// What it takes up in the proxy at most.
    pub(super) fn footprint(&self) -> String {
        let cells: u64 = self.tables().map(Table::shards).sum();
        let bytes: u64 = self.tables().map(Table::most_bytes).sum();
        let kibibytes = bytes.div_ceil(1024);
        format!("{cells} cells, at most {kibibytes} KiB")
    }
}

impl Rule {
    fn with_debt(self) -> Self {
        match self {
            Rule::TokenBucket(bucket) => Rule::TokenBucket(bucket.with_debt()),
            // Counts can be larger than what is allowed as they are.
            Rule::SlidingWindow(_) => self,
        }
    }
}

impl Cost {
    fn one() -> Self {
        Self {
            at_first: 1,
            afterwards: None,
        }
    }

    /// Reads a number, or `{ response_header, default }`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        const MOST: u64 = 1_000_000_000;
        if let crate::json::Json::Object(_) = node.json() {
            let mut fields = node.fields(problems)?;
            let afterwards = fields
                .required("response_header", problems)
                .and_then(|node| read_header_name(&node, problems));
            let at_first = fields.or("default", 1, problems, |node, problems| {
                node.integer(problems, 1..=MOST)
            });
            fields.finish(problems);
            return Some(Self {
                at_first: at_first?,
                afterwards: Some(afterwards?),
            });
        }
        Some(Self {
            at_first: node.integer(problems, 1..=MOST)?,
            afterwards: None,
        })
    }
}

impl Missing {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let choices = [
            ("skip", Missing::Skip),
            ("anonymous", Missing::Anonymous),
            ("refuse", Missing::Refuse),
        ];
        node.choice(problems, &choices)
    }
}

impl Shown {
    const NONE: Shown = Shown {
        x_ratelimit: false,
        ietf: false,
    };

    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let shown = |x_ratelimit, ietf| Shown { x_ratelimit, ietf };
        let choices = [
            ("none", Shown::NONE),
            ("x_ratelimit", shown(true, false)),
            ("ietf", shown(false, true)),
            ("both", shown(true, true)),
        ];
        node.choice(problems, &choices)
    }
}

/// Reads the name of a limit, which clients may get to see.
pub(super) fn read_name<'d>(
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
