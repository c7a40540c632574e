//! Compiles the plans of a document: each route whose policies all put their work on one.

use super::size::{MOST_PLANS, PLAN};
use crate::access_log::prepared::{Common, Prepared, Shown, WrittenRefusal};
use crate::engine::{Chain, Engine, Mode, Overrides, Route};
use crate::metrics;
use crate::plan::{MOST_STEPS, OTHER_NAMES, Plan, Plans, UsualAnswer};
use crate::record::{PolicyVerdict, Verdicts};
use crate::refused::Refused;
use crate::stream::override_fields;
use portcullis_exchange::client_address::FORWARDED_FOR;
use portcullis_exchange::edit::Edit;
use portcullis_exchange::host::Counter;
use portcullis_exchange::meter::Outcome;
use portcullis_exchange::plan::{
    ByCaller, Draft, Limit, Names, PlannedChange, Shaping, Slot, Step,
};
use portcullis_exchange::policy::Stage;
use portcullis_exchange::refusal::Refusal;
use portcullis_exchange::refusal::core::NOTHING_HERE;
use portcullis_exchange::target::LetterCase;

/// The plans of a document that is compiled but for them.
pub(super) fn compile(engine: &Engine) -> Plans {
    all(engine).unwrap_or_default()
}

/// None if no route has one.
fn all(engine: &Engine) -> Option<Plans> {
    let is_whole = engine.mode == Mode::Enforce && engine.rollout.is_none();
    if !is_whole || engine.path_rules.letter_case != LetterCase::Significant {
        return None;
    }
    let mut names: Vec<Box<str>> = Shown::NAMES.map(Box::from).into();
    names.extend(OTHER_NAMES.map(Box::from));
    let forwarded_for = engine.client_address.is_forwarded().then(|| {
        names.push(FORWARDED_FOR.into());
        Slot(names.len().saturating_sub(1))
    });
    let routes = engine.routes.iter();
    let kept = |plan: Option<Plan>| plan.filter(|plan| plan.memory() <= PLAN);
    let routes: Box<[Option<Plan>]> = routes
        .take(MOST_PLANS)
        .map(|route| kept(plan(engine, route, &mut names)))
        .collect();
    let planned = engine.routes.iter().zip(&routes);
    let planned = planned.filter(|(_, plan)| plan.is_some());
    let mut chains: Vec<&Chain> = planned.map(|(route, _)| &route.chain).collect();
    if chains.is_empty() {
        return None;
    }
    // Of requests without a route, some are refused for their version.
    let nowhere = match engine.versions {
        None => kept(nowhere(engine, &mut names)),
        Some(_) => None,
    };
    chains.extend(nowhere.as_ref().map(|_| &engine.fallback));
    let later = chains.iter().flat_map(|chain| &chain.later_request_fields);
    let kept: Vec<&str> = engine.shown_fields.names().chain(later.copied()).collect();
    for name in &kept {
        if !names.iter().any(|each| **each == **name) {
            names.push((*name).into());
        }
    }
    let slots = names.iter().map(|name| (&**name, kept.contains(&&**name)));
    let overrides: &[&str] = match engine.overrides {
        Overrides::Pass => &[],
        Overrides::Strip | Overrides::Refuse => override_fields(),
    };
    let question = engine.explain.as_ref().map(|explain| explain.header());
    let owned = engine.owned_request_headers.iter().chain(question);
    let owned = owned.map(|name| name.as_str());
    let names = Names::new(slots, overrides.iter().copied().chain(owned))?;
    let mut plans = Plans::new(names, routes, nowhere, question.cloned());
    plans.forwarded_for = forwarded_for;
    Some(plans)
}

/// For how many reasons refusals of tokens are prepared on one plan, at most.
const MOST_REASONS: usize = 8;

/// What the policies of a chain put on a plan.
struct Drafted {
    steps: Vec<Step>,
    /// The place in the chain of the part that each step is of.
    parts: Vec<usize>,
    shapings: Option<Box<[Shaping]>>,
}

impl Drafted {
    fn of(chain: &Chain, names: &mut Vec<Box<str>>) -> Option<Self> {
        if !chain.beside.is_empty() || chain.minds_every_end {
            return None;
        }
        let mut draft = Draft::new(names);
        let mut parts = Vec::new();
        for (place, step) in chain.steps.iter().enumerate() {
            match step.mode {
                Mode::Enforce if step.is_always_enforced() => step.policy.plan(&mut draft)?,
                Mode::Enforce => return None,
                Mode::Shadow => step.policy.plan_in_shadow(&mut draft)?,
            }
            parts.resize(draft.steps.len(), place);
        }
        let Draft {
            steps,
            shapings,
            asks_for_answers,
            ..
        } = draft;
        let is_answered = !asks_for_answers && shapings.iter().all(is_known);
        Some(Self {
            steps,
            parts,
            shapings: is_answered.then(|| shapings.into()),
        })
    }
}

/// The plan of one route, if all its policies can put their work on one.
fn plan(engine: &Engine, route: &Route, names: &mut Vec<Box<str>>) -> Option<Plan> {
    let chain = &route.chain;
    if route.rollout.is_some() {
        return None;
    }
    let Drafted {
        mut steps,
        parts,
        shapings,
    } = Drafted::of(chain, names)?;
    let is_limit = |step: &Step| matches!(step, Step::Limit(_));
    let is_token = |step: &Step| matches!(step, Step::Token { .. });
    let many = |is: fn(&Step) -> bool| steps.iter().filter(|step| is(step)).count();
    if many(is_limit) > 1 || many(is_token) > 1 || steps.len() > MOST_STEPS {
        return None;
    }
    let writing = Writing {
        engine,
        chain,
        route: Some(&route.name),
    };
    let (mut missing, mut full) = (None, None);
    let (mut by_token, mut token_record) = (Vec::new(), None);
    // No refusal is prepared that may be a page, or whose head the policies are asked to shape.
    let is_plain = chain.error_page.is_none() && shapings.is_some();
    for (index, (step, part)) in steps.iter().zip(&parts).enumerate().filter(|_| is_plain) {
        match step {
            Step::Token {
                missing: refusal,
                refused,
                ..
            } => {
                let limit = limit(steps.get(..index).unwrap_or_default());
                missing = writing.refused_alike(refusal, *part);
                let refused = refused.iter().take(MOST_REASONS);
                by_token
                    .extend(refused.filter_map(|refusal| writing.refused_alike(refusal, *part)));
                let policy = chain.steps.get(*part).map(|step| step.name);
                token_record =
                    writing.record(Some((WrittenRefusal::Own, policy)), Some(*part), limit);
            }
            Step::Limit(limit) => {
                let (refusal, counter) = limit.refusal();
                full = writing.refused(refusal, Some(*part), Some(&**limit), Some(counter));
            }
            Step::OneOf(_) | Step::Rules(_) | Step::Count(_) | Step::Edit(_) => {}
        }
    }
    for step in &mut steps {
        // What has been prepared of it is all that is needed.
        if let Step::Token {
            missing, refused, ..
        } = step
        {
            missing.headers = Vec::new();
            *refused = Box::default();
        }
    }
    // Where an answer has the id of its request, it depends on that one.
    let usual = shapings.as_deref().filter(|_| engine.request_id.is_none());
    Some(Plan {
        record: writing.record(None, None, limit(&steps)),
        usual_answer: usual.and_then(|shapings| UsualAnswer::of(&steps, shapings)),
        reads_response: chain.reads_response,
        changes: shapings.iter().flatten().map(changes).sum(),
        shapings,
        missing,
        full,
        by_token: by_token.into(),
        token_record,
        steps: steps.into(),
    })
}

/// Of requests that no route is for: nothing but a refusal.
fn nowhere(engine: &Engine, names: &mut Vec<Box<str>>) -> Option<Plan> {
    let chain = &engine.fallback;
    let shapings = Drafted::of(chain, names)?.shapings?;
    if chain.error_page.is_some() {
        return None;
    }
    let writing = Writing {
        engine,
        chain,
        route: None,
    };
    Some(Plan {
        steps: Box::default(),
        changes: shapings.iter().map(changes).sum(),
        shapings: Some(shapings),
        usual_answer: None,
        reads_response: chain.reads_response,
        record: None,
        missing: Some(writing.refused(Refusal::new(&NOTHING_HERE), None, None, None)?),
        full: None,
        by_token: Box::default(),
        token_record: None,
    })
}

fn limit(steps: &[Step]) -> Option<&dyn Limit> {
    steps.iter().find_map(|step| match step {
        Step::Limit(limit) => Some(&**limit),
        _ => None,
    })
}

/// Prepares what is written of requests of one chain.
struct Writing<'w> {
    engine: &'w Engine,
    chain: &'w Chain,
    route: Option<&'w str>,
}

impl Writing<'_> {
    /// A refusal by the part at a place of the chain, or by the core.
    fn refused(
        &self,
        refusal: Refusal,
        part: Option<usize>,
        limit: Option<&dyn Limit>,
        counter: Option<Counter>,
    ) -> Option<Refused> {
        let step = part.and_then(|part| self.chain.steps.get(part));
        let refusal = match step {
            Some(step) => step.placed(refusal),
            None => refusal,
        };
        let counters = [metrics::by_code(refusal.code(), Outcome::Denied), counter];
        let policy = step.map(|step| step.name);
        let record = self.record(Some((WrittenRefusal::Same(&refusal), policy)), part, limit);
        Refused::new(refusal, policy, part, counters, record)
    }

    /// One of several refusals by the part at a place of the chain, which have one record.
    fn refused_alike(&self, refusal: &Refusal, part: usize) -> Option<Refused> {
        let step = self.chain.steps.get(part)?;
        let refusal = step.placed(refusal.clone());
        let counters = [metrics::by_code(refusal.code(), Outcome::Denied), None];
        Refused::new(refusal, Some(step.name), Some(part), counters, None)
    }

    /// The record of requests that all parts up to one of them were asked about.
    fn record(
        &self,
        refusal: Option<(WrittenRefusal<'_>, Option<&'static str>)>,
        last: Option<usize>,
        limit: Option<&dyn Limit>,
    ) -> Option<Prepared> {
        let mut verdicts = Verdicts::default();
        let denied = refusal.and_then(|(_, policy)| policy);
        let steps = self.chain.steps.iter().enumerate();
        let asked = steps.take_while(|(_, step)| step.stage != Stage::Response);
        for (place, step) in asked.filter(|_| self.route.is_some()) {
            if last.is_some_and(|last| place > last) {
                break;
            }
            // A policy has one verdict, which all its parts share.
            let said = match denied == Some(step.name) {
                true => PolicyVerdict::Denied,
                false => PolicyVerdict::Allowed,
            };
            verdicts.note(step.kind, said);
        }
        let log = self.engine.access_log.as_ref()?;
        log.prepare(&Common {
            route: self.route,
            refusal,
            verdicts: &verdicts,
            limit: limit.map(|limit| limit.name()),
        })
    }
}

/// Whether all its edits are such as answers have.
fn is_known(shaping: &Shaping) -> bool {
    let known = |edit: &Edit| edit.changes(&mut |_| {});
    match shaping {
        Shaping::Always(edits) => edits.iter().all(known),
        Shaping::ByCaller { https, http, .. } => {
            let all = [https, http].into_iter();
            let mut lists = all.flat_map(|each| [&each.authenticated, &each.anyone]);
            lists.all(|edits| edits.iter().all(known))
        }
        Shaping::ByOrigin {
            granted, withheld, ..
        } => known(granted) && known(withheld),
        Shaping::IfAbsent { fields, .. } => fields.iter().all(|field| known(&field.edit)),
        Shaping::Revealing(_) | Shaping::Limits { .. } => true,
    }
}

/// How many fields of an answer are set or removed, at most.
fn changes(shaping: &Shaping) -> usize {
    let of = |edit: &Edit| {
        let mut count = 0_usize;
        edit.changes(&mut |change| match change {
            PlannedChange::Set(..) | PlannedChange::Remove(_) => count = count.saturating_add(1),
            PlannedChange::Add(..) | PlannedChange::New(..) | PlannedChange::FilterState(..) => {}
        });
        count
    };
    let all = |edits: &[Edit]| edits.iter().map(of).sum::<usize>();
    let by_caller = |each: &ByCaller| all(&each.authenticated).max(all(&each.anyone));
    match shaping {
        Shaping::Always(edits) => all(edits),
        Shaping::ByCaller { https, http, .. } => by_caller(https).max(by_caller(http)),
        Shaping::ByOrigin {
            granted, withheld, ..
        } => of(granted).saturating_add(1).max(of(withheld)),
        Shaping::IfAbsent { fields, .. } => fields.len(),
        Shaping::Revealing(_) => 0,
        Shaping::Limits { numbers, lists } => numbers.len().saturating_add(lists.len()),
    }
}
