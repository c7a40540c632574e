//! The document's `rate_limits`: limits that several routes share, and those of all routes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::counts::Counts;
use super::gate::RouteLimit;
use super::limit::{Limit, LimitScope, read_name};
use super::named::LimitNames;
use super::share::LimitShares;
use super::usage::Usages;
use crate::places::{PlaceHolder, PlaceMetrics};
use portcullis_document::{Node, Problems};
use portcullis_exchange::section::{Finishing, Reading, Registry, Section};
use portcullis_exchange::seed::Seed;

/// Limits by name. One whose block is wrong is still known by name.
#[derive(Debug, Default)]
pub struct SharedLimits {
    limits: Vec<Shared>,
    seed: Rc<Seed>,
    announced: RefCell<Vec<String>>,
    pub(super) counts: RefCell<BTreeMap<String, Rc<Counts>>>,
    pub(super) usages: Usages,
    /// What is counted of limits that are for a share of requests.
    pub(super) shares: LimitShares,
    /// Who holds places of `concurrency`, and what is counted of them.
    places: Rc<PlaceHolder>,
    place_metrics: PlaceMetrics,
    footprints: RefCell<Vec<String>>,
}

#[derive(Debug)]
struct Shared {
    name: Rc<str>,
    limit: Option<Rc<Limit>>,
    routes: Routes,
}

/// Which routes have a shared limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Routes {
    /// Routes that name it.
    Named,
    /// All.
    All,
}

/// The section of limits that are written here, in the names of their tables.
const SECTION: &str = "shared";

impl SharedLimits {
    fn read_all(node: &Node<'_>, known: &LimitNames, problems: &mut Problems) -> Self {
        let mut shared = Self::default();
        for (name, node) in node.members(problems).unwrap_or_default() {
            let Some(mut fields) = node.fields(problems) else {
                continue;
            };
            let named = read_name(name, &node, problems);
            let routes = fields.or_default("routes", Routes::Named, problems, |node, problems| {
                node.choice(problems, &[("named", Routes::Named), ("all", Routes::All)])
            });
            let place = LimitScope {
                section: SECTION,
                name,
                counts: shared.counts(name),
                shares: &shared.shares,
                usages: &shared.usages,
                is_shared: true,
            };
            let limit = Limit::read(&mut fields, &place, known, problems);
            fields.deny_unknown(problems);
            let limit = named.and(limit).map(Rc::new);
            if let Some(limit) = &limit {
                shared.announce(SECTION, limit);
            }
            shared.limits.push(Shared {
                name: name.into(),
                limit,
                routes: routes.unwrap_or(Routes::Named),
            });
        }
        shared
    }

    /// The limit of that name; `Some(None)` if its block is wrong.
    pub(super) fn named(&self, name: &str) -> Option<Option<Rc<Limit>>> {
        let shared = self.limits.iter().find(|shared| *shared.name == *name)?;
        Some(shared.limit.clone())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.limits.iter().map(|shared| &*shared.name)
    }

    /// The limits that all routes have.
    pub(super) fn everywhere(&self) -> impl Iterator<Item = RouteLimit> {
        let all = self
            .limits
            .iter()
            .filter(|shared| shared.routes == Routes::All);
        all.filter_map(|shared| {
            let limit = Rc::clone(shared.limit.as_ref()?);
            let cost = limit.cost.clone();
            Some(RouteLimit { limit, cost })
        })
    }

    /// This worker, as it holds places.
    pub(crate) fn places(&self) -> &Rc<PlaceHolder> {
        &self.places
    }

    /// What is counted of places, by name.
    pub(crate) fn place_metrics(&self) -> &PlaceMetrics {
        &self.place_metrics
    }

    /// Notes a line of what is taken up in the proxy, once.
    pub(crate) fn announce_places(&self, line: String) {
        if let Ok(mut all) = self.footprints.try_borrow_mut()
            && !all.contains(&line)
        {
            all.push(line);
        }
    }

    /// The seed of all tables of the document.
    pub(crate) fn seed(&self) -> Rc<Seed> {
        Rc::clone(&self.seed)
    }

    /// Notes what a limit takes up in the proxy.
    pub(super) fn announce(&self, section: &str, limit: &Limit) {
        if let Ok(mut announced) = self.announced.try_borrow_mut() {
            let footprint = limit.footprint();
            announced.push(format!("rate limit {section}/{}: {footprint}", limit.name));
        }
    }
}

impl Section for SharedLimits {
    const NAME: &'static str = "rate_limits";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let named = LimitNames::of(reading.known);
        Some(Self::read_all(node, &named, reading.problems))
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    /// Reports what can never do what it says.
    fn finish(&self, finishing: &mut Finishing<'_>) {
        self.usages.check(finishing);
    }

    /// What each limit takes up in the proxy, and what has been counted.
    fn register(section: &Rc<Self>, registry: &mut Registry) {
        if let Ok(announced) = section.announced.try_borrow() {
            registry.memory_estimates.extend(announced.iter().cloned());
        }
        if let Ok(footprints) = section.footprints.try_borrow()
            && !footprints.is_empty()
        {
            registry.memory_estimates.extend(footprints.iter().cloned());
            registry.ticks.push(Rc::clone(&section.places) as _);
        }
        section.show(&mut registry.gauges);
        section.shares.show(&mut registry.gauges);
        section.place_metrics.show(&mut registry.gauges);
    }
}
