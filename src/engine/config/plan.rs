//! Compiles the plans of a document: each route whose policies all put their work on one.

use crate::access_log::prepared::{Common, Shown};
use crate::engine::{Engine, Mode, Overrides, Route};
use crate::plan::{Plan, Plans};
use crate::record::{Said, Verdicts};
use crate::stream::override_fields;
use portcullis_exchange::plan::{Draft, Names, Shaping, Step};
use portcullis_exchange::policy::Stage;
use portcullis_exchange::target::LetterCase;

/// The plans of a document that is compiled but for them.
pub(super) fn compile(engine: &Engine) -> Plans {
    all(engine).unwrap_or_default()
}

/// None if no route has one.
fn all(engine: &Engine) -> Option<Plans> {
    if engine.mode == Mode::Shadow || engine.path_rules.letter_case != LetterCase::Significant {
        return None;
    }
    let mut names: Vec<Box<str>> = Shown::NAMES.map(Box::from).into();
    names.push("x-forwarded-proto".into());
    let drafts = engine
        .routes
        .iter()
        .map(|route| plan(engine, route, &mut names));
    let routes: Box<[Option<Plan>]> = drafts.collect();
    let planned = || {
        engine
            .routes
            .iter()
            .zip(&routes)
            .filter(|(_, plan)| plan.is_some())
    };
    planned().next()?;
    let later = planned().flat_map(|(route, _)| &route.chain.later_request_fields);
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
    let watched = overrides
        .iter()
        .copied()
        .chain(owned.map(|name| name.as_str()));
    let names = Names::new(slots, watched)?;
    Some(Plans::new(names, routes, question.cloned()))
}

/// The plan of one route, if all its policies can put their work on one.
fn plan(engine: &Engine, route: &Route, names: &mut Vec<Box<str>>) -> Option<Plan> {
    let chain = &route.chain;
    if !chain.beside.is_empty() || chain.minds_end {
        return None;
    }
    let mut draft = Draft::new(names);
    for step in &chain.steps {
        (step.mode == Mode::Enforce).then(|| step.policy.plan(&mut draft))??;
    }
    let Draft {
        steps,
        shapings,
        asks_for_answers,
        ..
    } = draft;
    let mut limits = steps.iter().filter_map(|step| match step {
        Step::Limit(limit) => Some(limit),
        _ => None,
    });
    let limit = limits.next();
    let tokens = steps
        .iter()
        .filter(|step| matches!(step, Step::Token { .. }));
    if limits.next().is_some() || tokens.count() > 1 {
        return None;
    }
    let asked = chain
        .steps
        .iter()
        .take_while(|step| step.stage != Stage::Answer);
    let mut verdicts = Verdicts::default();
    asked.for_each(|step| verdicts.note(step.kind, Said::Allowed));
    let common = Common {
        route: &route.name,
        verdicts: &verdicts,
        limit: limit.map(|limit| limit.name()),
    };
    let record = engine
        .access_log
        .as_ref()
        .and_then(|log| log.prepare(&common));
    let is_answered = !asks_for_answers && shapings.iter().all(is_known);
    Some(Plan {
        record,
        shapings: is_answered.then(|| shapings.into()),
        steps: steps.into(),
    })
}

/// Whether all its edits are such as answers have.
fn is_known(shaping: &Shaping) -> bool {
    let known = |edit: &portcullis_exchange::edit::Edit| edit.changes(&mut |_| {});
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
        Shaping::Limits { .. } => true,
    }
}
