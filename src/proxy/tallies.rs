//! The counters of routes, which the proxy learns of when they are first needed.

use std::cell::RefCell;

use super::abi::{self, MetricKind};
use super::host::define;
use crate::metrics::RouteCounter;
use crate::stream::Stream;

/// The counters of one document in this VM. There are at most as many as routes, codes and
/// outcomes allow.
#[derive(Default)]
pub(super) struct Tallies {
    /// By the place of the route; the first is for requests without one.
    known: RefCell<Vec<Vec<Known>>>,
}

/// A counter that the proxy has been told of; without its number, if it refused.
struct Known {
    counter: RouteCounter,
    id: Option<u32>,
}

impl Tallies {
    /// Counts a finished exchange, if its document asks for that.
    pub(super) fn count(&self, stream: &Stream) {
        let Some(engine) = stream.engine().filter(|engine| engine.measured().by_route) else {
            return;
        };
        let Ok(mut known) = self.known.try_borrow_mut() else {
            return;
        };
        RouteCounter::of(stream, |counter| {
            let place = counter.route.map_or(0, |route| route.saturating_add(1));
            if known.len() <= place {
                known.resize_with(place.saturating_add(1), Vec::new);
            }
            let Some(known) = known.get_mut(place) else {
                return;
            };
            let found = known.iter().find(|each| each.counter == counter);
            let id = found.map(|each| each.id).unwrap_or_else(|| {
                let id = define(MetricKind::Counter, &counter.name(engine));
                known.push(Known { counter, id });
                id
            });
            // A counter that cannot be raised changes nothing else.
            let _ = id.map(|id| abi::increment(id, 1));
        });
    }
}
