//! The document's `access_rules`: rules that routes share, and those of all routes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use portcullis_document::{DidYouMean, Fields, LeftOut, Node, Pointer, Problems, Quoted};
use portcullis_exchange::condition::VersionTest;
use portcullis_exchange::gauges::segment;
use portcullis_exchange::geo::Geo;
use portcullis_exchange::policy::RoutePath;
use portcullis_exchange::section::{Finishing, Reading, Registry, Section};
use portcullis_exchange::target::{LetterCase, PathRules};
use portcullis_wire::budget::Share;

use super::HAS_ACCESS;
use super::counts::RuleCounts;
use super::group::RuleSources;
use super::index::RuleList;
use super::overlap;
use super::read::{RuleContext, read_name, read_rule};
use super::rule::{AccessRule, RuleAction};
use crate::networks::NetworkLists;
use crate::versions::VersionSchemes;

/// Rules by name. One that is wrong is still known by name.
#[derive(Debug)]
pub struct AccessRules {
    named: Vec<SharedRule>,
    /// By the names of their rules, as these are in names of metrics.
    counts: RefCell<BTreeMap<String, Rc<RuleCounts>>>,
    /// The rules of blocks.
    own: RefCell<Vec<Rc<AccessRule>>>,
    /// The lists of rules that are judged together.
    lists: RefCell<Vec<Rc<RuleList>>>,
    /// How many pairs of rules may still be compared.
    pairs: Cell<usize>,
}

#[derive(Debug)]
struct SharedRule {
    name: Rc<str>,
    rule: Option<Rc<AccessRule>>,
    is_everywhere: bool,
    /// Whether a block names it.
    is_used: Cell<bool>,
}

/// How many names of rules are counted by: each makes four metrics.
const MOST_COUNTED: usize = 1000;

impl Default for AccessRules {
    fn default() -> Self {
        Self {
            named: Vec::new(),
            counts: RefCell::default(),
            own: RefCell::default(),
            lists: RefCell::default(),
            pairs: Cell::new(overlap::MOST_PAIRS),
        }
    }
}

impl AccessRules {
    /// The rule of that name; `Some(None)` if it is wrong.
    pub(super) fn named(&self, name: &str) -> Option<Option<Rc<AccessRule>>> {
        let shared = self.named.iter().find(|shared| *shared.name == *name)?;
        shared.is_used.set(true);
        Some(shared.rule.clone())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.named.iter().map(|shared| &*shared.name)
    }

    /// Whether a rule is judged on every route.
    pub(super) fn is_everywhere(&self, name: &str) -> bool {
        let mut everywhere = self.named.iter().filter(|shared| shared.is_everywhere);
        everywhere.any(|shared| *shared.name == *name)
    }

    /// The rules that are judged on every route.
    pub(super) fn everywhere(&self) -> impl Iterator<Item = &Rc<AccessRule>> {
        let everywhere = self.named.iter().filter(|shared| shared.is_everywhere);
        everywhere.filter_map(|shared| shared.rule.as_ref())
    }

    /// The counts of all rules of that name. Of more than can be shown nothing is shown.
    pub(super) fn counts(&self, name: &str) -> Rc<RuleCounts> {
        let Ok(mut counts) = self.counts.try_borrow_mut() else {
            return Rc::default();
        };
        let name = segment(name);
        match counts.get(&name) {
            Some(found) => Rc::clone(found),
            None if counts.len() >= MOST_COUNTED => Rc::default(),
            None => Rc::clone(counts.entry(name).or_default()),
        }
    }

    /// Takes up a rule of a block, to look at its use when all routes are known.
    pub(super) fn take_up(&self, rule: &Rc<AccessRule>) {
        if let Ok(mut own) = self.own.try_borrow_mut() {
            own.push(Rc::clone(rule));
        }
    }

    /// The list of these rules: the same for all routes that have it.
    pub(super) fn list(&self, rules: Vec<Rc<AccessRule>>, problems: &mut Problems) -> Rc<RuleList> {
        let Ok(mut lists) = self.lists.try_borrow_mut() else {
            return Rc::new(RuleList::new(rules));
        };
        let is_same = |list: &&Rc<RuleList>| {
            let all = list.all();
            let mut pairs = all.iter().zip(&rules);
            all.len() == rules.len() && pairs.all(|(one, other)| Rc::ptr_eq(one, other))
        };
        if let Some(list) = lists.iter().find(is_same) {
            return Rc::clone(list);
        }
        let list = Rc::new(RuleList::new(rules));
        problems.account(&Pointer::default(), Share::Documents, list.memory());
        lists.push(Rc::clone(&list));
        list
    }

    /// What an operator should know of rules of a block, beside those that are judged everywhere.
    pub(super) fn overlaps(&self, rules: &[Rc<AccessRule>]) -> Vec<String> {
        let everywhere = self.everywhere().count();
        let all = self.everywhere().chain(rules);
        let all: Vec<&AccessRule> = all.map(|rule| &**rule).collect();
        let mut pairs = self.pairs.get();
        let notes = overlap::notes(&all, everywhere, &mut pairs);
        self.pairs.set(pairs);
        notes
    }

    fn read_shared(
        &self,
        name: &str,
        node: &Node<'_>,
        (letter_case, places): (LetterCase, RuleSources<'_>),
        problems: &mut Problems,
    ) -> SharedRule {
        let named = read_name(name, node, problems);
        let (mut rule, mut is_everywhere) = (None, Some(false));
        if let Some(mut fields) = node.fields(problems) {
            let everywhere = fields.optional("everywhere");
            let context = RuleContext {
                letter_case,
                places,
                path: &RoutePath::default(),
            };
            let read = read_rule(name, &mut fields, &context, self.counts(name), problems);
            is_everywhere = match &everywhere {
                None => Some(false),
                Some(node) => read_everywhere(node, read.as_ref(), problems),
            };
            check_name(&mut fields, problems);
            fields.deny_unknown(problems);
            rule = named.and(is_everywhere).and(read).map(Rc::new);
        }
        SharedRule {
            name: name.into(),
            rule,
            is_everywhere: is_everywhere.unwrap_or(false),
            is_used: Cell::new(false),
        }
    }
}

/// Whether a rule is judged on every route: a denial may be. What allows has to stand where it is seen.
fn read_everywhere(
    node: &Node<'_>,
    rule: Option<&AccessRule>,
    problems: &mut Problems,
) -> Option<bool> {
    let is_everywhere = node.boolean(problems)?;
    if is_everywhere && rule.is_some_and(|rule| rule.action == RuleAction::Allow) {
        node.report(
            problems,
            "only a denial can be judged on every route; name this rule in `access` of `defaults`, or of the routes that it is for",
        );
        return None;
    }
    let lacks = |rule: &AccessRule| rule.lacking(None).is_some();
    if is_everywhere && rule.is_some_and(lacks) {
        node.report(
            problems,
            "the rule looks at a path variable, and not every route has it; name the rule in the routes that have",
        );
        return None;
    }
    Some(is_everywhere)
}

/// A rule of the section is called by its key.
fn check_name(fields: &mut Fields<'_>, problems: &mut Problems) {
    if let Some(node) = fields.optional("name") {
        node.report(
            problems,
            "a rule of this section is called by its key; remove this",
        );
    }
}

/// Reports versions that a rule goes by and that no request on its routes has.
fn check_versions(rule: &AccessRule, finishing: &mut Finishing<'_>) {
    let named = rule.versions().map(|(test, name)| (&test.at, name));
    let named: Vec<(&Pointer, &str)> = named.collect();
    let tests: Vec<VersionTest> = rule.version_tests().collect();
    let mut places = named.iter().map(|(at, _)| *at);
    let Some(first) = places.next().or(tests.first().map(|test| &test.place)) else {
        return;
    };
    let usage = &rule.usage;
    let placed = usage.is_placed.get().then_some(&usage.schemes);
    let known = match VersionSchemes::known(placed, finishing) {
        Ok(known) => known,
        Err(reason) => return finishing.problems.report(first, reason),
    };
    let known: Vec<&str> = known.iter().map(|name| &**name).collect();
    for (at, name) in named {
        if !known.contains(&name) {
            let near = DidYouMean(name, known.iter().copied());
            let reason = format!("no version is named {}{near}", Quoted(name));
            finishing.problems.report(at, reason);
        }
    }
    for test in &tests {
        if let Some(reason) = test.impossible(&known) {
            finishing.problems.report(&test.place, reason);
        }
    }
}

impl Section for AccessRules {
    const NAME: &'static str = "access_rules";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        if !HAS_ACCESS {
            node.report(reading.problems, LeftOut::ACCESS);
            return None;
        }
        let letter_case = reading.known.get::<PathRules>().letter_case;
        let (networks, geo) = (
            reading.known.get::<NetworkLists>(),
            reading.known.get::<Geo>(),
        );
        let places = RuleSources {
            networks: &networks,
            geo: &geo,
        };
        let problems = &mut *reading.problems;
        let mut section = Self::default();
        for (name, node) in node.members(problems).unwrap_or_default() {
            let shared = section.read_shared(name, &node, (letter_case, places), problems);
            section.named.push(shared);
            if problems.is_full() {
                break;
            }
        }
        Some(section)
    }

    fn absent() -> Option<Self> {
        HAS_ACCESS.then(Self::default)
    }

    fn finish(&self, finishing: &mut Finishing<'_>) {
        let unused = |shared: &&SharedRule| !shared.is_everywhere && !shared.is_used.get();
        let unused = self.named.iter().filter(unused);
        finishing.notes.extend(unused.map(|shared| {
            format!(
                "access rule {} is used by nothing: name it in `rules` of an `access` block, or remove it",
                Quoted(&shared.name)
            )
        }));
        let Ok(own) = self.own.try_borrow() else {
            return;
        };
        let shared = self.named.iter().filter_map(|shared| shared.rule.as_ref());
        let rules = shared.chain(own.iter());
        rules
            .clone()
            .for_each(|rule| check_versions(rule, finishing));
        for rule in rules.clone() {
            finishing.notes.extend(rule.misreadings());
            finishing.notes.extend(rule.share_notes());
            rule.check_vouchers(finishing.document, finishing.notes, finishing.problems);
        }
        for rule in rules.clone().filter(|rule| rule.usage.is_placed.get()) {
            let outside = || {
                let why = "no route with it takes such a method, host and version, by its `match`";
                (!rule.usage.meets_requests.get()).then(|| why.to_owned())
            };
            if let Some(why) = overlap::never_matches(rule).or_else(outside) {
                let note = format!("{}: never matches: {why}", rule.place);
                finishing.notes.push(note);
            }
        }
        let never = rules.filter(|rule| {
            let usage = &rule.usage;
            usage.is_placed.get() && !usage.is_guarded.get() && rule.needs_somebody()
        });
        finishing.notes.extend(never.map(|rule| {
            format!(
                "{}: never matches: it asks who calls, and no route with it asks for credentials",
                rule.place
            )
        }));
    }

    fn register(section: &Rc<Self>, registry: &mut Registry) {
        if let Ok(counts) = section.counts.try_borrow() {
            for (name, counts) in counts.iter() {
                RuleCounts::show(counts, name, &mut registry.gauges);
            }
        }
        let Ok(own) = section.own.try_borrow() else {
            return;
        };
        let shared = section.named.iter();
        let shared = shared.filter_map(|shared| shared.rule.as_ref());
        let ending = shared.chain(own.iter()).filter_map(|rule| {
            let end = rule.schedule.end()?;
            Some((end, Rc::clone(&rule.place)))
        });
        registry.ending.extend(ending);
    }
}
