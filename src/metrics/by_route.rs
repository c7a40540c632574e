//! The document's `metrics`, and what is counted of each route where it asks for that.
//!
//! There are at most as many of these counters as routes, codes and outcomes allow; the proxy
//! learns of each when it is first needed. They are raised once for an exchange, when it has ended,
//! so that they and the access log agree.

use super::segment;
use crate::access_log;
use crate::config::{Node, Pointer, Problems, Quoted};
use crate::engine::Engine;
use crate::metrics::Outcome;
use crate::stream::Stream;

/// `metrics`: what is measured beyond what always is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Whether exchanges are counted by route.
    pub by_route: bool,
    /// Whether the filter's own time is recorded.
    pub timings: bool,
}

/// The place of requests that no route is for.
const NO_ROUTE: &str = "no_route";

impl Measured {
    /// Reads the block.
    pub(crate) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let by_route = fields.or("by_route", false, problems, Node::boolean);
        let timings = fields.or("timings", false, problems, Node::boolean);
        fields.finish(problems);
        Some(Self {
            by_route: by_route?,
            timings: timings?,
        })
    }

    /// Reports routes whose counters would be the same.
    pub(crate) fn check_names<'n>(names: impl Iterator<Item = &'n str>, problems: &mut Problems) {
        let place = Pointer::default().member("metrics");
        let mut seen = vec![(NO_ROUTE.to_owned(), NO_ROUTE)];
        for name in names {
            let own = segment(name);
            match seen.iter().find(|(each, _)| *each == own) {
                Some((_, other)) => problems.report(
                    &place,
                    format_args!(
                        "`by_route`: in names of metrics route {} is {}, and so is {}; let their names differ in letters or digits",
                        Quoted(name),
                        Quoted(&own),
                        Quoted(other)
                    ),
                ),
                None => seen.push((own, name)),
            }
        }
    }
}

/// One counter of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteCounter {
    /// The place of the route; none for requests without one.
    pub route: Option<usize>,
    outcome: &'static str,
    /// The policy, none for the core, and the code.
    refusal: Option<(Option<&'static str>, &'static str)>,
}

impl RouteCounter {
    /// Names every counter that an exchange raises, by what became of it.
    pub fn of(stream: &Stream, mut each: impl FnMut(Self)) {
        let route = stream.route();
        let record = stream.record();
        each(Self {
            route,
            outcome: access_log::outcome(stream),
            refusal: None,
        });
        if let Some((code, _)) = record.refusal {
            each(Self {
                route,
                outcome: Outcome::Denied.name(),
                refusal: Some((record.refused_by, code.name)),
            });
        }
        for shadow in &record.shadow {
            each(Self {
                route,
                outcome: Outcome::ShadowDenied.name(),
                refusal: Some((shadow.policy, shadow.code.name)),
            });
        }
    }

    /// The name of the metric. Envoy puts `wasmcustom.` in front.
    pub fn name(&self, engine: &Engine) -> String {
        let route = match self.route.and_then(|index| engine.route_name(index)) {
            Some(name) => segment(name),
            None => NO_ROUTE.to_owned(),
        };
        let outcome = self.outcome;
        match self.refusal {
            None => format!("portcullis.route_requests.{route}.{outcome}"),
            Some((policy, code)) => {
                let policy = policy.unwrap_or("core");
                format!("portcullis.route_refusals.{route}.{policy}.{code}.{outcome}")
            }
        }
    }
}
