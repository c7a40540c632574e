//! Limits that are in force for a share of requests, and in shadow mode for all others.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::key::Key;
use super::ledger::LimitResults;
use portcullis_document::{Fields, Problems};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::exchange::Exchange;
use portcullis_exchange::gauges::{Gauges, segment};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::Stage;
use portcullis_exchange::refusal::{Detail, Fact};
use portcullis_exchange::rollout::{PartialRollout, Rollout, RolloutCounts, RolloutSubject};

/// For whom one limit is in force.
#[derive(Debug)]
pub(super) struct LimitRollout {
    /// Shadow if it is in force for nobody.
    pub(super) mode: Mode,
    share: Option<LimitShare>,
    /// Whether `mode` is written.
    says_mode: bool,
}

/// A share of requests, neither all nor none.
#[derive(Debug)]
struct LimitShare {
    partial: PartialRollout,
    /// What it is drawn with, and what it is called in records: other limits have others in their shares.
    name: Rc<str>,
    counts: Rc<RolloutCounts>,
}

/// How many requests met limits that are for a share of them, by the names of limits in metrics.
#[derive(Debug, Default)]
pub(super) struct LimitShares(RefCell<BTreeMap<String, Rc<RolloutCounts>>>);

/// What an operator should know of a limit, with the field that it is about.
pub(super) type Remark = (&'static str, Cow<'static, str>);

impl LimitRollout {
    /// Reads `mode`, `percent` and `percent_by` of the limit of that name.
    pub(super) fn read(
        fields: &mut Fields<'_>,
        name: &str,
        shares: &LimitShares,
        problems: &mut Problems,
    ) -> Option<Self> {
        let says_mode = fields.optional("mode").is_some();
        let Rollout { mode, partial } = Rollout::read(fields, Mode::Enforce, problems)?;
        let share = partial.map(|partial| LimitShare {
            partial,
            name: format!("limit/{name}").into(),
            counts: shares.of(name),
        });
        Some(Self {
            mode,
            share,
            says_mode,
        })
    }

    /// Whether it is in force for all requests.
    pub(super) fn is_for_all(&self) -> bool {
        self.mode == Mode::Enforce && !self.is_partial()
    }

    /// Whether it is in force for some requests, and in shadow mode for others.
    pub(super) fn is_partial(&self) -> bool {
        self.share.is_some()
    }

    /// Whether it may be in that mode for a request.
    pub(super) fn may_be(&self, mode: Mode) -> bool {
        self.mode == mode || self.is_partial()
    }

    /// Whether each request is drawn for itself.
    pub(super) fn draws(&self) -> bool {
        let share = self.share.as_ref();
        share.is_some_and(|share| share.partial.draws())
    }

    /// With the share of requests for which it is in force, where that is neither none nor all.
    pub(super) fn shared(&self, detail: Detail) -> Detail {
        match &self.share {
            Some(share) => detail.and("percent", Fact::Number(share.partial.percent().into())),
            None => detail,
        }
    }

    /// The mode for a request. It is drawn once: what is asked later about the same limit is told the same. Where
    /// nothing is known by which that could be drawn, it is in force.
    pub(super) fn mode_for(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Mode {
        let Some(share) = &self.share else {
            return self.mode;
        };
        let ledger = exchange.facts.limits.kept::<LimitResults>();
        let is_in = ledger.and_then(|ledger| ledger.share(&share.name));
        let is_in = is_in.unwrap_or_else(|| share.draw(exchange, host));
        match is_in {
            true => Mode::Enforce,
            false => Mode::Shadow,
        }
    }

    /// What may not be what was meant, of a limit with that key that is asked at that stage. `is_lockout`: it counts
    /// failures.
    pub(super) fn remarks(&self, key: &Key, stage: Stage, is_lockout: bool) -> Vec<Remark> {
        let Some(share) = &self.share else {
            let is_none = self.mode == Mode::Shadow && !self.says_mode;
            let text = "in force for nobody, as with `mode: shadow`";
            return is_none
                .then(|| ("percent", text.into()))
                .into_iter()
                .collect();
        };
        let mut remarks: Vec<Remark> = Vec::new();
        if let Some(text) = share.partial.choice("this limit") {
            remarks.push(("percent_by", text.into()));
        }
        let of_places = ["client_address", "network", "country", "asn"];
        let mut kinds = key.kinds().into_iter();
        let goes_by_address = key.is_empty() || kinds.any(|kind| of_places.contains(&kind));
        let is_meant = share.partial.says_key() || !goes_by_address;
        if share.partial.goes_by_caller() && stage == Stage::Arrival && is_meant {
            let text = "this limit is asked before it is known who calls, so that the share is of addresses; write `address`, or go by a header";
            remarks.push((share.partial.field_of_key(), text.into()));
        }
        if share.partial.draws() && is_lockout {
            let text = "each attempt is drawn for itself, so that who guesses is locked out of a share of the attempts alone; go by `address`";
            remarks.push(("percent_by", text.into()));
        }
        remarks
    }
}

impl LimitShare {
    #[cold]
    fn draw(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> bool {
        let subject = RolloutSubject::new(exchange.facts, exchange.request.headers, host);
        let is_in = subject.is_in(&self.partial, &self.name).unwrap_or(true);
        self.counts.count(is_in);
        if let Some(ledger) = exchange.facts.limits.keep::<LimitResults>() {
            ledger.note_share(Rc::clone(&self.name), is_in);
        }
        is_in
    }
}

impl LimitShares {
    /// The counts of all limits of that name.
    fn of(&self, name: &str) -> Rc<RolloutCounts> {
        match self.0.try_borrow_mut() {
            Ok(mut all) => Rc::clone(all.entry(segment(name)).or_default()),
            Err(_) => Rc::default(),
        }
    }

    /// Shows them.
    pub(super) fn show(&self, gauges: &mut Gauges) {
        let Ok(all) = self.0.try_borrow() else {
            return;
        };
        for (name, counts) in all.iter() {
            RolloutCounts::show(counts, &format!("limit.{name}"), gauges);
        }
    }
}
