//! The walk itself.

use portcullis_wire::budget::{self, Reservation, Share};
use portcullis_wire::json_gate::{
    Fault, Kind, Limits, MemberName, Shape, Text, Watch, Word, Written, watch,
};
use portcullis_wire::regex::{Effort, Regex};

use crate::check::SchemaId;
use crate::cost::allowance;
use crate::type_set::TypeSet;
use crate::walk::{Inside, Plan, Planned};
use crate::walk_demand::{Alternatives, Demand, Together};
use crate::walk_number::Numeral;

/// What a walk over a text that passes the gate comes to.
#[derive(Debug)]
pub(crate) enum Walked {
    /// It is as the schema asks.
    Valid,
    /// There is no telling; so much is in it.
    Unsure(Shape),
}

/// Of what judging a text may cost, looking for patterns on the walk may take this part. The slow way may
/// look for them again.
const PART_OF_PATTERNS: u64 = 8;

/// How many steps a walk may take, so that a text which it does not take costs little more for it: so many in
/// any case, and more for each byte and for each value that holds no others. Most texts need half of that.
const STEPS: u64 = 50_000;
const STEPS_PER_BYTE: u64 = 2;
const STEPS_PER_VALUE: u64 = 16;

/// Passes a text through the gate, and judges it on the way by the schema `id`, which must be one that walks.
/// No more than `depth` arrays and objects may contain one another.
pub(crate) fn judge(
    plan: &Plan,
    id: SchemaId,
    text: &[u8],
    limits: &Limits,
    depth: usize,
) -> Result<Walked, Fault> {
    let mut judge = Judge::new(plan, id, text.len(), depth);
    watch(text, limits, &mut judge)?;
    Ok(judge.end(text.len()))
}

pub(crate) struct Judge<'t, 'p> {
    pub(crate) plan: &'p Plan,
    pub(crate) shape: Shape,
    pub(crate) deepest: usize,
    /// What judges the next value; none if nobody asks.
    pub(crate) next: Option<&'p Planned>,
    pub(crate) here: Level<'p>,
    pub(crate) outer: Vec<Level<'p>>,
    /// What it would have cost so far, at most.
    pub(crate) steps: u64,
    /// What it may have cost.
    pub(crate) most: u64,
    pub(crate) patterns: Patterns<'t, 'p>,
    /// Whether all has held so far, and it was told of all of it.
    pub(crate) holds: bool,
    /// Whether it could be told so far: what could not is neither so nor not so, and of `not` of it nothing is
    /// known either.
    pub(crate) sure: bool,
}

/// An array or object that is being walked over.
#[derive(Clone, Copy)]
pub(crate) struct Level<'p> {
    /// Who judges it; none if nobody asks.
    pub(crate) by: Option<&'p Planned>,
    /// Who judges its items.
    pub(crate) items: Option<&'p Planned>,
    /// Which of the members that must be there have come.
    pub(crate) came: u64,
}

/// A value that holds no others.
enum Scalar<'v, 't> {
    Word(Word),
    Number(&'v Numeral<'t>),
    /// A string: what it means, and as it is sent.
    String(&'v [u8], Text<'t>),
}

/// What is left to be looked for when all else holds.
pub(crate) struct Patterns<'t, 'p> {
    pending: Vec<(&'p Regex, Text<'t>)>,
    memory: Reservation,
    /// What looking for those before has cost.
    pub(crate) steps: u64,
}

impl Level<'_> {
    pub(crate) const FREE: Self = Self {
        by: None,
        items: None,
        came: 0,
    };
}

impl<'t> Watch<'t> for Judge<'t, '_> {
    #[inline(always)]
    fn name(&mut self, name: MemberName<'t>) {
        self.shape.name(name);
        let Some(planned) = self.here.by.filter(|_| self.holds) else {
            return;
        };
        let object = &planned.demand.object;
        // What else it may be called takes longer to tell.
        self.holds &= name.text.plain().is_some();
        let named = object.find(name);
        let schema = match named {
            Some(named) => {
                self.here.came |= named.bit;
                named.schema
            }
            None => object.others,
        };
        self.next = schema.and_then(|id| self.plan.get(id));
    }

    #[inline(always)]
    fn string(&mut self, text: Text<'t>) {
        self.shape.string(text);
        if let (Some(next), true) = (self.next, self.holds) {
            self.judge_string(next, text);
        }
    }

    #[inline(always)]
    fn number(&mut self, number: Written<'t>) {
        self.shape.number(number);
        if self.holds && (self.next.is_some() || Numeral::is_doubtful(number)) {
            self.judge_number(number);
        }
    }

    #[inline(always)]
    fn word(&mut self, word: Word) {
        if let (Some(next), true) = (self.next, self.holds) {
            self.holds = self.scalar(next, &Scalar::Word(word)) && self.sure;
        }
    }

    fn empty(&mut self, kind: Kind) {
        if self.holds
            && let Some(level) = self.enter(kind)
        {
            self.leave(level, 0, kind);
        }
    }

    #[inline(always)]
    fn begins(&mut self, kind: Kind) -> Result<usize, Fault> {
        if self.holds
            && let Some(level) = self.enter(kind)
        {
            self.outer.push(std::mem::replace(&mut self.here, level));
            self.next = level.items;
        }
        self.shape.begins(kind)
    }

    #[inline(always)]
    fn ends(&mut self, place: usize, length: usize, kind: Kind) {
        self.shape.ends(place, length, kind);
        if self.holds {
            self.leave(self.here, length, kind);
            self.here = self.outer.pop().unwrap_or(Level::FREE);
            self.next = self.here.items;
        }
    }
}

impl<'t, 'p> Judge<'t, 'p> {
    /// Before the first of so many bytes.
    pub(crate) fn new(plan: &'p Plan, id: SchemaId, bytes: usize, depth: usize) -> Self {
        let mut judge = Self {
            most: STEPS,
            plan,
            shape: Shape::default(),
            deepest: depth.min(plan.deepest()),
            next: plan.get(id),
            here: Level::FREE,
            outer: Vec::new(),
            steps: 0,
            patterns: Patterns::default(),
            holds: true,
            sure: true,
        };
        judge.allow(bytes);
        judge
    }

    /// There are so many more bytes.
    pub(crate) fn allow(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let steps = bytes.saturating_mul(STEPS_PER_BYTE);
        self.most = self.most.saturating_add(steps);
    }

    /// Looks for the patterns that are left to be looked for, when so many bytes have been seen.
    pub(crate) fn look(&mut self, bytes: usize) {
        if self.holds {
            let effort = allowance(bytes, self.shape.values);
            let enough = effort.spend(self.steps).is_ok();
            self.holds = enough && self.patterns.hold(effort.left() / PART_OF_PATTERNS);
        }
    }

    /// What it comes to when all bytes have been seen.
    pub(crate) fn end(mut self, bytes: usize) -> Walked {
        self.shape = std::mem::take(&mut self.shape).whole();
        self.look(bytes);
        match self.holds {
            true => Walked::Valid,
            false => Walked::Unsure(self.shape),
        }
    }

    /// Looks at an array or object that begins here; none if there is no telling what becomes of it.
    #[inline(always)]
    fn enter(&mut self, kind: Kind) -> Option<Level<'p>> {
        self.holds = self.outer.len() < self.deepest;
        let level = match self.next {
            None => Some(Level::FREE),
            Some(next) => {
                self.steps = self.steps.saturating_add(next.steps);
                match next.of_kind(kind) {
                    Inside::Free => Some(Level::FREE),
                    Inside::By(id) => self.plan.get(id).map(|planned| {
                        let items = planned.demand.items.filter(|_| kind == Kind::Array);
                        Level {
                            by: Some(planned),
                            items: items.and_then(|id| self.plan.get(id)),
                            came: 0,
                        }
                    }),
                    Inside::Wrong | Inside::Unknown => None,
                }
            }
        };
        self.holds &= level.is_some();
        level.filter(|_| self.holds)
    }

    /// Judges an array or object of which all has been seen.
    #[inline(always)]
    fn leave(&mut self, level: Level<'p>, length: usize, kind: Kind) {
        let Some(Planned { demand, .. }) = level.by else {
            return;
        };
        self.holds &= match kind {
            Kind::Array => demand.item_count.has(length),
            Kind::Object => {
                let object = &demand.object;
                self.steps = self.steps.saturating_add(object.steps(length));
                level.came == object.required && object.count.has(length)
            }
        };
    }

    #[inline(never)]
    fn judge_string(&mut self, next: &'p Planned, text: Text<'t>) {
        self.most = self.most.saturating_add(STEPS_PER_VALUE);
        let holds = match text.plain() {
            Some(plain) => self.scalar(next, &Scalar::String(plain, text)),
            None => self.escaped(next, text),
        };
        self.holds = holds && self.sure;
    }

    #[inline(never)]
    fn judge_number(&mut self, number: Written<'t>) {
        self.most = self.most.saturating_add(STEPS_PER_VALUE);
        let holds = match (Numeral::read(number), self.next) {
            (Some(number), Some(next)) => self.scalar(next, &Scalar::Number(&number)),
            (Some(_), None) => true,
            // Whoever reads the value refuses it, or has no memory either.
            (None, _) => false,
        };
        self.holds = holds && self.sure;
    }

    #[cold]
    #[inline(never)]
    fn escaped(&mut self, next: &'p Planned, text: Text<'t>) -> bool {
        let memory = budget::reserve(Share::Bodies, text.raw().len());
        memory.is_some() && self.scalar(next, &Scalar::String(&text.decoded(), text))
    }

    /// Whether a value that holds no others is as asked.
    #[inline(always)]
    fn scalar(&mut self, planned: &'p Planned, value: &Scalar<'_, 't>) -> bool {
        let demand = &planned.demand;
        self.alone(demand, value) && (demand.together.is_empty() || self.together(demand, value))
    }

    /// Whether it is as that schema asks by itself.
    #[inline(always)]
    fn alone(&mut self, demand: &'p Demand, value: &Scalar<'_, 't>) -> bool {
        self.steps = self.steps.saturating_add(demand.steps);
        // Not even half of it is told then, and of `not` of it nothing.
        self.sure &= self.steps <= self.most;
        if !self.sure {
            return false;
        }
        let kind = match value {
            Scalar::Word(Word::Null) => TypeSet::NULL,
            Scalar::Word(Word::True | Word::False) => TypeSet::BOOLEAN,
            Scalar::String(..) => TypeSet::STRING,
            Scalar::Number(number) if demand.kinds.tells_numbers() => match number.is_integer() {
                true => TypeSet::INTEGER,
                false => TypeSet::FRACTION,
            },
            Scalar::Number(_) => TypeSet::INTEGER,
        };
        if !demand.kinds.has(kind) || !demand.choices.iter().all(|choice| choice.has(value)) {
            return false;
        }
        match value {
            Scalar::Word(_) => true,
            Scalar::Number(number) => self.number_is(demand, number),
            Scalar::String(meant, sent) => self.string_is(demand, meant, *sent),
        }
    }

    #[inline(always)]
    fn number_is(&mut self, demand: &Demand, number: &Numeral<'_>) -> bool {
        let bounds = u64::try_from(demand.bounds.len()).unwrap_or(u64::MAX);
        let steps = number.steps().saturating_mul(bounds);
        self.steps = self.steps.saturating_add(steps);
        demand.bounds.iter().all(|bound| bound.holds(number))
            && demand.divisors.iter().all(|divisor| {
                let Some((divides, steps)) = divisor.divides(number) else {
                    self.sure = false;
                    return false;
                };
                self.steps = self.steps.saturating_add(steps);
                divides
            })
    }

    #[inline(always)]
    fn string_is(&mut self, demand: &'p Demand, meant: &[u8], sent: Text<'t>) -> bool {
        let fits = demand.characters.of_bytes(meant.len());
        let fits = fits.unwrap_or_else(|| {
            let eighth = u64::try_from(meant.len() / 8).unwrap_or(u64::MAX);
            self.steps = self
                .steps
                .saturating_add(eighth.saturating_mul(demand.lengths));
            // The first byte of each character.
            let first = |byte: &&u8| **byte & 0xc0 != 0x80;
            demand.characters.has(meant.iter().filter(first).count())
        });
        if fits && !demand.patterns.is_empty() {
            self.sure &= self.patterns.push(&demand.patterns, sent);
        }
        fits
    }

    /// Whether it is as the schemas ask that judge the same value.
    #[inline(never)]
    fn together(&mut self, demand: &'p Demand, value: &Scalar<'_, 't>) -> bool {
        demand.together.iter().all(|together| match together {
            Together::All(ids) => ids.iter().all(|id| self.by(*id, value)),
            Together::Any(ids) => ids.iter().any(|id| self.by(*id, value)),
            Together::One(ids) => {
                let holding = ids.iter().filter(|id| self.by(**id, value));
                holding.count() == 1
            }
            Together::Not(id) => !self.by(*id, value),
            Together::If(condition, then, otherwise) => {
                let branch = match self.by(*condition, value) {
                    true => then,
                    false => otherwise,
                };
                branch.is_none_or(|id| self.by(id, value))
            }
        })
    }

    fn by(&mut self, id: SchemaId, value: &Scalar<'_, 't>) -> bool {
        let planned = self.plan.get(id);
        self.sure &= planned.is_some();
        planned.is_some_and(|planned| self.scalar(planned, value))
    }
}

impl Alternatives {
    #[inline(always)]
    fn has(&self, value: &Scalar<'_, '_>) -> bool {
        match value {
            Scalar::Word(Word::Null) => self.null,
            Scalar::Word(Word::True) => self.truth,
            Scalar::Word(Word::False) => self.falsehood,
            Scalar::String(meant, _) => {
                let order = |text: &String| text.as_bytes().cmp(meant);
                self.texts.binary_search_by(order).is_ok()
            }
            Scalar::Number(number) => {
                !self.numbers.is_empty()
                    && self
                        .numbers
                        .binary_search(number.decimal().as_ref())
                        .is_ok()
            }
        }
    }
}

impl Default for Patterns<'_, '_> {
    fn default() -> Self {
        Self {
            pending: Vec::new(),
            memory: Reservation::none(Share::Bodies),
            steps: 0,
        }
    }
}

impl<'t, 'p> Patterns<'t, 'p> {
    /// Notes that these are to be found in a string. False if there is no memory for that.
    #[inline(always)]
    fn push(&mut self, patterns: &'p [Regex], text: Text<'t>) -> bool {
        patterns.iter().all(|pattern| {
            let room = self.pending.len() < self.pending.capacity() || self.grow();
            if room {
                self.pending.push((pattern, text));
            }
            room
        })
    }

    /// Takes twice the room. The old and the new are both there for a moment.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) -> bool {
        const FIRST: usize = 64;
        let bytes = |room: usize| room.saturating_mul(size_of::<(&Regex, Text<'_>)>());
        let length = self.pending.len();
        let room = length.saturating_mul(2).max(FIRST);
        let more = room.saturating_sub(length);
        let grown = self.memory.grow(bytes(room)) && self.pending.try_reserve_exact(more).is_ok();
        self.memory.shrink_to(bytes(self.pending.capacity()));
        grown
    }

    /// Whether all of them are found, by that much effort in all.
    fn hold(&mut self, most: u64) -> bool {
        let Some(left) = most.checked_sub(self.steps) else {
            return false;
        };
        let effort = Effort::new(left);
        let found = self.are_found(&effort);
        let steps = left.saturating_sub(effort.left());
        self.steps = self.steps.saturating_add(steps);
        self.pending.clear();
        found
    }

    fn are_found(&self, effort: &Effort) -> bool {
        self.pending.iter().all(|(pattern, text)| {
            let memory = match text.plain() {
                Some(_) => Some(Reservation::none(Share::Bodies)),
                None => budget::reserve(Share::Bodies, text.raw().len()),
            };
            let meant = text.decoded();
            let found = std::str::from_utf8(&meant)
                .is_ok_and(|meant| pattern.is_match(meant, effort).unwrap_or(false));
            memory.is_some() && found
        })
    }
}

/// What a walk would count for a text that it takes, patterns included; none if it does not take it.
#[cfg(test)]
pub(super) fn counted(plan: &Plan, id: SchemaId, text: &[u8], depth: usize) -> Option<u64> {
    let mut judge = Judge::new(plan, id, text.len(), depth);
    watch(text, &Limits::GENEROUS, &mut judge).ok()?;
    let holds = judge.holds && judge.patterns.hold(u64::MAX);
    holds.then(|| judge.steps.saturating_add(judge.patterns.steps))
}
