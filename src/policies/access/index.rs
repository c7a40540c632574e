//! Finds the few rules that may match a request, however many there are.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use portcullis_exchange::route::{PathIndex, PathPattern};
use portcullis_exchange::target::fold_case;
use portcullis_wire::effort::{Effort, TooCostly};
use portcullis_wire::sort;

use super::caller::{self, TextField};
use super::decision::Truth;
use super::request::{CallerIdentity, Head};
use super::rule::{AccessRule, Group, Values};

/// Rules of a list, and how to find them. Routes with the same rules share it.
#[derive(Debug)]
pub(super) struct RuleList {
    rules: Vec<Rc<AccessRule>>,
    /// None where asking one after another costs less.
    index: Option<RuleIndex>,
}

/// Each rule stands under the values of one of its fields, without which it certainly does not match, or in the
/// rest. A rule of which that field cannot be told is found as well: it refuses.
#[derive(Debug, Default)]
pub(super) struct RuleIndex {
    /// RuleSources of rules, in order, as everywhere here.
    rest: Vec<usize>,
    /// Of `path_rules`, by segments in which upper and lower case are the same.
    paths: PathIndex,
    path_rules: Vec<usize>,
    methods: BTreeMap<Box<str>, Vec<usize>>,
    texts: [TextIndex; TextField::ALL.len()],
}

/// Rules by the exact texts of one field.
#[derive(Debug, Default)]
struct TextIndex {
    all: Vec<usize>,
    by_text: BTreeMap<Box<str>, Vec<usize>>,
}

/// Of what field a value is by which rules are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum IndexField {
    Path,
    Method,
    Text(TextField),
}

type IndexKey<'r> = (IndexField, Cow<'r, str>);

/// So few rules are asked one after another.
const FEW: usize = 8;
/// About what one value by which a rule is found takes, in bytes.
const SIZE_OF_KEY: usize = 160;
/// A step of the effort is enough to find so many bytes of a text.
const BYTES_FOUND_BY_A_STEP: u64 = 8;

impl RuleList {
    pub(super) fn new(rules: Vec<Rc<AccessRule>>) -> Self {
        let index = (rules.len() > FEW).then(|| RuleIndex::new(&rules));
        Self { rules, index }
    }

    pub(super) fn all(&self) -> &[Rc<AccessRule>] {
        &self.rules
    }

    /// The rules that may match, in order. Every other one does not.
    pub(super) fn candidates(&self, head: &Head<'_>) -> Vec<&Rc<AccessRule>> {
        match &self.index {
            None => self.rules.iter().collect(),
            Some(index) => {
                let places = index.candidates(head).into_iter();
                places.filter_map(|place| self.rules.get(place)).collect()
            }
        }
    }

    /// Hands the places of the rules that may match to `visit`, in any order and perhaps more than once, until
    /// it returns none. Every other one does not match.
    pub(super) fn visit<'c>(
        &self,
        sought: Sought<'_>,
        paths: impl Iterator<Item = &'c str>,
        callers: impl Fn() -> Option<CallerIdentity<'c>>,
        visit: impl FnMut(usize) -> Option<()>,
    ) -> Option<()> {
        match &self.index {
            None => (0..self.rules.len()).try_for_each(visit),
            Some(index) => index.visit(sought, paths, || callers().into_iter(), visit),
        }
    }

    /// About how many bytes it takes beside the rules themselves.
    pub(super) fn memory(&self) -> usize {
        let index = self.index.as_ref().map_or(0, RuleIndex::memory);
        let rules = self.rules.len().saturating_mul(size_of::<usize>());
        index.saturating_add(rules)
    }
}

impl RuleIndex {
    pub(super) fn new(rules: &[Rc<AccessRule>]) -> Self {
        let choices: Vec<Vec<BTreeSet<IndexKey<'_>>>> =
            rules.iter().map(|rule| choices(rule)).collect();
        let mut counts: BTreeMap<&IndexKey<'_>, usize> = BTreeMap::new();
        for key in choices.iter().flatten().flatten() {
            let count = counts.entry(key).or_default();
            *count = count.saturating_add(1);
        }
        // A field whose values few other rules have finds few of them.
        let crowd = |keys: &&BTreeSet<IndexKey<'_>>| {
            let counts = keys.iter().filter_map(|key| counts.get(key));
            counts.max().copied()
        };
        let mut index = Self::default();
        let mut paths = Vec::new();
        for (place, choices) in choices.iter().enumerate() {
            match choices.iter().min_by_key(crowd) {
                None => index.rest.push(place),
                Some(keys) => index.put(place, keys, &mut paths),
            }
        }
        index.paths = PathIndex::new(paths.iter().map(|path| path.split('/').skip(1)));
        index
    }

    fn put<'k>(
        &mut self,
        place: usize,
        keys: &'k BTreeSet<IndexKey<'_>>,
        paths: &mut Vec<&'k str>,
    ) {
        for (field, value) in keys {
            let list = match field {
                IndexField::Path => {
                    paths.push(value);
                    &mut self.path_rules
                }
                IndexField::Method => self.methods.entry((**value).into()).or_default(),
                IndexField::Text(field) => {
                    let Some(texts) = self.texts.get_mut(*field as usize) else {
                        continue;
                    };
                    if texts.all.last() != Some(&place) {
                        texts.all.push(place);
                    }
                    texts.by_text.entry((**value).into()).or_default()
                }
            };
            list.push(place);
        }
    }

    /// The places of the rules that may match, in order, each once.
    pub(super) fn candidates(&self, head: &Head<'_>) -> Vec<usize> {
        let mut found = Vec::new();
        let request = head.request();
        let sought = Sought {
            method: request.method(),
            effort: request.effort,
        };
        let paths = request.target.readings().map(|(path, _)| path);
        self.visit(
            sought,
            paths,
            // A denial may mean another than who calls.
            || head.callers().all(),
            |place| {
                found.push(place);
                Some(())
            },
        );
        sort::sort(&mut found, Ord::cmp);
        found.dedup();
        found
    }

    /// Hands the places of the rules that may match to `visit`, in any order and perhaps more than once, until
    /// it returns none.
    fn visit<'c, C: Iterator<Item = CallerIdentity<'c>>>(
        &self,
        sought: Sought<'_>,
        paths: impl Iterator<Item = &'c str>,
        callers: impl Fn() -> C,
        mut visit: impl FnMut(usize) -> Option<()>,
    ) -> Option<()> {
        self.rest.iter().copied().try_for_each(&mut visit)?;
        if !self.path_rules.is_empty() {
            for path in paths {
                let path = without_case(path);
                for entry in self.paths.lists(&path).flatten() {
                    visit(*self.path_rules.get(*entry)?)?;
                }
            }
        }
        if !self.methods.is_empty() {
            let method = in_capitals(sought.method);
            let rules = self.methods.get(&*method).into_iter().flatten();
            rules.copied().try_for_each(&mut visit)?;
        }
        let all = TextField::ALL.into_iter().zip(&self.texts);
        for (field, texts) in all.filter(|(_, texts)| !texts.all.is_empty()) {
            for caller in callers() {
                let principal = match caller {
                    CallerIdentity::Known(principal) => principal,
                    CallerIdentity::KnownLater => {
                        texts.all.iter().copied().try_for_each(&mut visit)?;
                        continue;
                    }
                    // Nothing is known of nobody, so no such rule matches.
                    CallerIdentity::Nobody => continue,
                };
                let mut goes_on = Some(());
                let mut find = |text: &str| {
                    let found = texts.find(text, sought.effort)?;
                    goes_on = found.iter().copied().try_for_each(&mut visit);
                    Ok(goes_on.is_none())
                };
                let truth = caller::one_of(principal, field, &mut find);
                goes_on?;
                if truth != Truth::No {
                    texts.all.iter().copied().try_for_each(&mut visit)?;
                }
            }
        }
        Some(())
    }

    fn memory(&self) -> usize {
        let texts = self.texts.iter().flat_map(|texts| texts.by_text.values());
        let lists = self.methods.values().chain(texts).map(Vec::len);
        let keys = lists.chain([self.path_rules.len()]);
        let keys = keys.fold(0_usize, usize::saturating_add);
        let places = self.rest.len().saturating_mul(size_of::<usize>());
        keys.saturating_mul(SIZE_OF_KEY).saturating_add(places)
    }
}

impl TextIndex {
    /// The rules of a text.
    fn find(&self, text: &str, effort: &Effort) -> Result<&[usize], TooCostly> {
        effort.spend((text.len() as u64 / BYTES_FOUND_BY_A_STEP).saturating_add(1))?;
        let found = self.by_text.get(text);
        Ok(found.map_or(&[], Vec::as_slice))
    }
}

/// What rules are sought by, beside paths and callers.
#[derive(Clone, Copy)]
pub(super) struct Sought<'s> {
    pub(super) method: &'s str,
    pub(super) effort: &'s Effort,
}

/// A method as all but a few are written.
fn in_capitals(method: &str) -> Cow<'_, str> {
    match method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        true => Cow::Owned(method.to_ascii_uppercase()),
        false => Cow::Borrowed(method),
    }
}

/// A path in which upper and lower case are the same: then it is found whichever way it is compared.
fn without_case(path: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    match path.bytes().all(is_plain) {
        true => Cow::Borrowed(path),
        false => Cow::Owned(fold_case(path)),
    }
}

/// The values of each field by which a rule can be found.
fn choices(rule: &AccessRule) -> Vec<BTreeSet<IndexKey<'_>>> {
    let of_request = [IndexField::Path, IndexField::Method];
    let of_request = of_request.into_iter().map(|field| (field, &rule.to));
    let of_caller = TextField::ALL.into_iter();
    let of_caller = of_caller.map(|field| (IndexField::Text(field), &rule.from));
    let fields = of_request.chain(of_caller);
    fields
        .filter_map(|(field, groups)| keys(groups, field))
        .collect()
}

/// All values of a field in groups that each have it; one of them must be the request's for a group to match.
fn keys(groups: &[Group], field: IndexField) -> Option<BTreeSet<IndexKey<'_>>> {
    if groups.is_empty() {
        return None;
    }
    let mut keys = BTreeSet::new();
    for group in groups {
        let mut tests = group.tests.iter().filter(|test| !test.is_negated);
        let values = tests.find_map(|test| values(&test.values, field))?;
        keys.extend(values.into_iter().map(|value| (field, value)));
    }
    Some(keys)
}

/// The values by which a test is found; none if it is of another field, or may hold of other values.
fn values(values: &Values, field: IndexField) -> Option<Vec<Cow<'_, str>>> {
    match (field, values) {
        (IndexField::Method, Values::Methods(methods)) => {
            // One that is written in other letters cannot be told, and is found.
            let methods = methods.iter().map(|method| method.to_ascii_uppercase());
            Some(methods.map(Cow::Owned).collect())
        }
        (IndexField::Path, Values::Paths(paths)) => paths.iter().map(first_segments).collect(),
        (IndexField::Text(wanted), values) => {
            let (field, texts) = values.texts()?;
            let is_exact = field == wanted && texts.tests.is_empty();
            is_exact.then(|| texts.exact.iter().map(|text| (&**text).into()).collect())
        }
        _ => None,
    }
}

/// What paths that fit begin with; none if that is nothing.
fn first_segments(path: &PathPattern) -> Option<Cow<'_, str>> {
    let segments = path.first_segments();
    let mut joined = String::new();
    for segment in segments {
        joined.push('/');
        joined.push_str(&fold_case(segment));
    }
    (!joined.is_empty()).then_some(joined.into())
}
