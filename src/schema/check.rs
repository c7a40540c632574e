//! Judging a value by a schema: bounded in depth and in work, whatever the value and the schema.

use std::fmt::Write as _;

use super::cost::{KEYWORD_STEPS, SCHEMA_STEPS};
use super::rule::{Outcome, Rule};
use super::value::Value;
use super::walk::Plan;
use portcullis_document::Pointer;
use portcullis_wire::regex::{Effort, Regex};

/// The place of a schema in its [`Set`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SchemaId(pub(super) usize);

/// Compiled schemas that refer to one another.
#[derive(Default)]
pub(super) struct Set {
    pub(super) nodes: Vec<Node>,
    /// For each resource its dynamic anchors.
    pub(super) anchors: Vec<Vec<(String, SchemaId)>>,
    /// What they ask of a text that is walked over.
    pub(super) plan: Plan,
}

/// One schema object.
pub(super) struct Node {
    /// The resource that it belongs to.
    pub(super) resource: usize,
    /// Where it stands in the document.
    pub(super) place: Pointer,
    pub(super) body: Body,
}

/// What a schema asks.
pub(super) enum Body {
    /// Nothing: `true`, or `{}`.
    Anything,
    /// That there be nothing: `false`, under that keyword.
    Nothing(&'static str),
    /// All of these.
    Rules {
        rules: Vec<Rule>,
        /// Whether one of them asks what the others have looked at.
        tracks: bool,
    },
}

/// One thing that is wrong with a value. It holds no value, but names that may be a client's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where in the value, an RFC 6901 pointer; cut after some hundred bytes.
    pub instance: String,
    /// The keyword that does not hold.
    pub keyword: &'static str,
    /// Where that keyword stands in the document.
    pub schema: String,
}

/// What came of judging a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is as the schema asks.
    Valid,
    /// It is not; some of what is wrong.
    Invalid(Vec<Violation>),
    /// It would take too much work, or too deep a recursion, to tell.
    Undecided,
}

/// How many violations are gathered.
const MAX_VIOLATIONS: usize = 8;
/// How deep schemas may be evaluated within one another. A worker's stack must hold that.
pub(super) const MAX_DEPTH: usize = 400;
/// One judgement.
pub(super) struct Check<'s> {
    set: &'s Set,
    pub(super) formats: bool,
    violations: Vec<Violation>,
    effort: &'s Effort,
    too_deep: bool,
}

/// Where a judgement stands.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    place: &'a Place<'a>,
    scope: &'a Scope<'a>,
    /// Whether violations are of no interest: another branch may hold.
    quiet: bool,
    depth: usize,
}

/// A place in the value.
pub(super) struct Place<'a> {
    outer: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Member(&'a str),
    Item(usize),
}

/// The resources through which a schema was reached, innermost first.
struct Scope<'a> {
    outer: Option<&'a Scope<'a>>,
    resource: usize,
}

impl<'s> Check<'s> {
    /// Judges a value by the schema `id`.
    pub(super) fn run(
        set: &'s Set,
        id: SchemaId,
        value: &Value<'_>,
        formats: bool,
        effort: &'s Effort,
    ) -> Verdict {
        let mut check = Check {
            set,
            formats,
            violations: Vec::new(),
            effort,
            too_deep: false,
        };
        let root = Place {
            outer: None,
            step: Step::Root,
        };
        let scope = Scope {
            outer: None,
            resource: set.nodes.get(id.0).map_or(0, |node| node.resource),
        };
        let at = At {
            place: &root,
            scope: &scope,
            quiet: false,
            depth: 0,
        };
        let valid = check.schema(id, value, at, &mut Seen::Off);
        match (check.is_exhausted(), valid) {
            (true, _) => Verdict::Undecided,
            (false, true) => Verdict::Valid,
            (false, false) => Verdict::Invalid(check.violations),
        }
    }

    /// Whether `value` is as the schema asks. `seen` takes which members or items it has looked at.
    pub(super) fn schema(
        &mut self,
        id: SchemaId,
        value: &Value<'_>,
        at: At<'_>,
        seen: &mut Seen,
    ) -> bool {
        self.spend(SCHEMA_STEPS);
        let node = self.set.nodes.get(id.0);
        self.too_deep |= at.depth >= MAX_DEPTH || node.is_none();
        let Some(node) = node.filter(|_| !self.is_exhausted()) else {
            return false;
        };
        let (rules, tracks) = match &node.body {
            Body::Anything => return true,
            Body::Nothing(keyword) => {
                self.fail(at, keyword, || node.place.to_string());
                return false;
            }
            Body::Rules { rules, tracks } => (rules, *tracks),
        };
        let inner = Scope {
            outer: Some(at.scope),
            resource: node.resource,
        };
        let at = At {
            scope: if at.scope.resource == node.resource {
                at.scope
            } else {
                &inner
            },
            depth: at.depth.saturating_add(1),
            ..at
        };
        if !tracks {
            return self.rules(node, rules, value, at, seen);
        }
        // What schemas around this one have looked at is none of its concern.
        let mut own = Seen::none();
        let valid = self.rules(node, rules, value, at, &mut own);
        if valid {
            seen.merge(own);
        }
        valid
    }

    fn rules(
        &mut self,
        node: &Node,
        rules: &[Rule],
        value: &Value<'_>,
        at: At<'_>,
        seen: &mut Seen,
    ) -> bool {
        let mut valid = true;
        let mut misfits = false;
        for rule in rules {
            // Whoever bounds the length of a text bounds what patterns have to do.
            if misfits && matches!(rule.name, "pattern" | "format") {
                continue;
            }
            self.spend(KEYWORD_STEPS);
            match rule.keyword.check(self, value, at, seen) {
                Outcome::Holds => continue,
                Outcome::Fails => {
                    self.fail(at, rule.name, || format!("{}/{}", node.place, rule.name));
                }
                Outcome::FailsWithin => {}
            }
            valid = false;
            misfits |= matches!(rule.name, "minLength" | "maxLength");
            if self.is_settled(at) {
                break;
            }
        }
        valid
    }

    /// Counts work, and ends the judgement when there has been too much.
    pub(super) fn spend(&self, steps: u64) {
        // Whoever judges asks whether it was too much before it is believed.
        let _ = self.effort.spend(steps);
    }

    /// Counts what it costs to look at so many bytes, or so many of anything else.
    pub(super) fn spend_on(&self, count: usize, each: u64) {
        self.spend(
            u64::try_from(count)
                .unwrap_or(u64::MAX)
                .saturating_mul(each),
        );
    }

    /// Whether a pattern is found; `false` as well when there is no telling, and the judgement ends.
    pub(super) fn finds(&self, pattern: &Regex, text: &str) -> bool {
        pattern.is_match(text, self.effort).unwrap_or(false)
    }

    /// Whether it cannot be told whether the value is as asked.
    pub(super) fn is_exhausted(&self) -> bool {
        self.too_deep || self.effort.is_spent()
    }

    /// Whether, after a failure, there is nothing more to learn.
    pub(super) fn is_settled(&self, at: At<'_>) -> bool {
        at.quiet || self.is_exhausted() || self.violations.len() >= MAX_VIOLATIONS
    }

    fn fail(&mut self, at: At<'_>, keyword: &'static str, schema: impl Fn() -> String) {
        if !at.quiet && self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation {
                instance: at.place.pointer(),
                keyword,
                schema: schema(),
            });
        }
    }

    /// The schema that a dynamic reference leads to: the anchor of that name in the outermost
    /// resource that has one.
    pub(super) fn dynamic(&self, name: &str, at: At<'_>) -> Option<SchemaId> {
        let mut found = None;
        let mut scope = Some(at.scope);
        while let Some(Scope { outer, resource }) = scope {
            let anchors = self.set.anchors.get(*resource);
            self.spend_on(anchors.map_or(0, Vec::len).saturating_add(1), 4);
            let anchor = anchors.and_then(|anchors| anchors.iter().find(|(each, _)| each == name));
            found = anchor.map(|(_, id)| *id).or(found);
            scope = *outer;
        }
        found
    }
}

impl<'a> At<'a> {
    /// The same, with violations of no interest.
    pub(super) fn quietly(self) -> Self {
        Self {
            quiet: true,
            ..self
        }
    }

    /// A member of the value here.
    pub(super) fn member(&self, name: &'a str) -> Place<'a> {
        Place {
            outer: Some(self.place),
            step: Step::Member(name),
        }
    }

    /// An item of the value here.
    pub(super) fn item(&self, index: usize) -> Place<'a> {
        Place {
            outer: Some(self.place),
            step: Step::Item(index),
        }
    }

    /// The same judgement at another place.
    pub(super) fn to<'b>(self, place: &'b Place<'b>) -> At<'b>
    where
        'a: 'b,
    {
        At { place, ..self }
    }
}

impl Place<'_> {
    const LONGEST: usize = 240;

    fn pointer(&self) -> String {
        let mut steps = Vec::new();
        let mut place = Some(self);
        while let Some(Place { outer, step }) = place {
            steps.push(*step);
            place = *outer;
        }
        let mut pointer = String::new();
        for step in steps.iter().rev() {
            match step {
                Step::Root => {}
                // Writing to a `String` cannot fail.
                Step::Item(index) => {
                    let _ = write!(pointer, "/{index}");
                }
                Step::Member(name) => {
                    pointer.push('/');
                    for c in name.chars().take(Self::LONGEST) {
                        match c {
                            '~' => pointer.push_str("~0"),
                            '/' => pointer.push_str("~1"),
                            c => pointer.push(c),
                        }
                    }
                }
            }
            if pointer.len() > Self::LONGEST {
                let end = pointer.floor_char_boundary(Self::LONGEST);
                pointer.truncate(end);
                pointer.push('…');
                break;
            }
        }
        pointer
    }
}

/// Which members or items of one value some schema has looked at.
pub(super) enum Seen {
    /// Nobody asks.
    Off,
    /// Those whose bit is set.
    On(Vec<u64>),
}

impl Seen {
    /// None so far.
    pub(super) fn none() -> Self {
        Seen::On(Vec::new())
    }

    /// Whether anybody asks.
    pub(super) fn is_on(&self) -> bool {
        matches!(self, Seen::On(_))
    }

    /// None so far, if anybody asks.
    pub(super) fn fresh(&self) -> Self {
        match self {
            Seen::Off => Seen::Off,
            Seen::On(_) => Seen::none(),
        }
    }

    /// Notes one.
    pub(super) fn mark(&mut self, index: usize) {
        let Seen::On(words) = self else {
            return;
        };
        let word = index / 64;
        if words.len() <= word {
            words.resize(word.saturating_add(1), 0);
        }
        if let Some(bits) = words.get_mut(word) {
            *bits |= 1 << (index % 64);
        }
    }

    /// Whether that one has been looked at.
    pub(super) fn has(&self, index: usize) -> bool {
        match self {
            Seen::Off => false,
            Seen::On(words) => words
                .get(index / 64)
                .is_some_and(|bits| bits >> (index % 64) & 1 == 1),
        }
    }

    /// Adds what another schema has looked at.
    pub(super) fn merge(&mut self, other: Seen) {
        let (Seen::On(words), Seen::On(others)) = (self, other) else {
            return;
        };
        if words.len() < others.len() {
            words.resize(others.len(), 0);
        }
        for (bits, more) in words.iter_mut().zip(others) {
            *bits |= more;
        }
    }
}
