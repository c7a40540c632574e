//! Redirects that lead back to the route on which they stand.

use std::collections::BTreeSet;

use super::problem::{Problems, Quoted};
use crate::engine::Route;
use portcullis_exchange::policy::RedirectTarget;

/// How many routes are looked at that stand before such redirects: a document may have many thousands of routes.
const MOST_PAIRS: usize = 200_000;

/// How sure it is that a redirect leads back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Circle {
    Certain,
    Likely,
}

/// Reports redirects that certainly lead back to their own route, and notes those that probably do.
pub(super) fn report_circles(routes: &[Route], notes: &mut Vec<String>, problems: &mut Problems) {
    let mut said = BTreeSet::new();
    let mut pairs: usize = 0;
    for (at, route) in routes.iter().enumerate() {
        let steps = route.chain.steps.iter();
        for target in steps.filter_map(|step| step.declared.redirects_to.as_ref()) {
            let Some(circle) = circle(routes, at, target) else {
                continue;
            };
            pairs = pairs.saturating_add(at);
            if pairs > MOST_PAIRS {
                return;
            }
            if !said.insert(target.place.to_string()) {
                continue;
            }
            let name = Quoted(&route.name);
            match circle {
                Circle::Certain => problems.report(
                    &target.place,
                    format_args!(
                        "leads back to the route {name}, which redirects it again: clients would go in a circle; name an address of another route"
                    ),
                ),
                Circle::Likely => notes.push(format!(
                    "{}: leads back to the route {name}, if this filter is asked for it too: then clients go in a circle; name an address of another route (from http:// to https:// is what `https` does)",
                    target.place
                )),
            }
        }
    }
}

fn circle(routes: &[Route], at: usize, target: &RedirectTarget) -> Option<Circle> {
    let own = &routes.get(at)?.matcher;
    let host = target.host.as_deref();
    if !own.fits_target(host, target.path.as_deref()) {
        return None;
    }
    if target.method.is_some_and(|method| !own.allows(method)) {
        return None;
    }
    let mut circle = match (target.is_constant, host) {
        (true, None) if !own.asks_for_more() => Circle::Certain,
        _ => Circle::Likely,
    };
    // One before it may take the request that follows.
    for other in routes.iter().take(at).map(|route| &route.matcher) {
        // A path that is not known is one of its own, of which an earlier route has its part taken already.
        let Some(path) = target.path.as_deref() else {
            if other.names_hosts() && other.fits_target(host, None) {
                return None;
            }
            continue;
        };
        if !other.fits_target(host, Some(path)) {
            continue;
        }
        let takes_method = match target.method {
            Some(method) => other.allows(method),
            None => other.methods().is_empty() || other.takes_methods_of(own),
        };
        let takes_host = host.is_some() || other.takes_hosts_of(own);
        if takes_method && takes_host && !other.asks_for_more() {
            return None;
        }
        circle = Circle::Likely;
    }
    Some(circle)
}
