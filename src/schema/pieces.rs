//! Judging a text while it comes.

use crate::check::SchemaId;
use crate::walk::{Judge, Level, Patterns, Plan, Planned, Walked};
use crate::{Passed, Schema};
use portcullis_wire::budget::{Reservation, Share, reserve};
use portcullis_wire::json_gate::{self, Fault, Limits, Shape};

/// Passes a text through the gate while it comes, and judges it by a schema. It comes to the same as
/// [`Schema::judge_bytes`] of all of it.
///
/// Whoever reads the text as a value in the end has to have all of it at hand then.
pub struct Pieces {
    schema: Schema,
    gate: json_gate::Pieces,
    way: Way,
    /// How many bytes are done with.
    done: usize,
    /// How many have been at hand, these among them.
    seen: usize,
    _memory: Reservation,
}

/// How what comes is looked at.
enum Way {
    /// As the walk does.
    Walk(Box<Rest>),
    /// Only how much there is in it.
    Measure(Shape),
}

/// A walk that rests until more has come: a [`Judge`] that borrows nothing.
struct Rest {
    shape: Shape,
    deepest: usize,
    next: Option<SchemaId>,
    here: LevelAtRest,
    outer: Vec<LevelAtRest>,
    steps: u64,
    most: u64,
    pattern_steps: u64,
    holds: bool,
    sure: bool,
}

/// A [`Level`].
#[derive(Clone, Copy)]
struct LevelAtRest {
    by: Option<SchemaId>,
    items: Option<SchemaId>,
    came: u64,
}

impl Pieces {
    /// Before the first byte. None if there is no memory for it. No more than `depth` arrays and objects
    /// may contain one another.
    #[must_use]
    pub fn new(schema: &Schema, limits: Limits, depth: usize) -> Option<Self> {
        let plan = &schema.set.plan;
        let deepest = depth.min(plan.deepest());
        let levels = size_of::<LevelAtRest>().saturating_add(size_of::<Level<'_>>());
        let needed = deepest
            .saturating_mul(levels.saturating_mul(2))
            .saturating_add(size_of::<Self>())
            .saturating_add(size_of::<Rest>());
        let memory = reserve(Share::Bodies, needed)?;
        let way = match schema.tries_walk() {
            true => Way::Walk(Box::new(Rest::of(Judge::new(plan, schema.id, 0, depth)))),
            false => Way::Measure(Shape::default()),
        };
        Some(Self {
            schema: schema.clone(),
            gate: json_gate::Pieces::new(limits),
            way,
            done: 0,
            seen: 0,
            _memory: memory,
        })
    }

    /// Judges what is at hand behind what is done with; how much of it is done with now. The rest is to be at
    /// hand again, with what follows it.
    ///
    /// # Errors
    /// What does not pass the gate. Then there is nothing more to be judged.
    pub fn more(&mut self, text: &[u8]) -> Result<usize, Fault> {
        let new = self.note(text);
        let done = match &mut self.way {
            Way::Measure(shape) => self.gate.more(text, shape)?,
            Way::Walk(rest) => {
                let mut judge = rest.wake(&self.schema.set.plan, new);
                let done = self.gate.more(text, &mut judge)?;
                judge.look(self.seen);
                **rest = Rest::of(judge);
                done
            }
        };
        self.done = self.done.saturating_add(done);
        Ok(done)
    }

    /// Judges what is left.
    ///
    /// # Errors
    /// What does not pass the gate.
    pub fn last(mut self, text: &[u8]) -> Result<Passed, Fault> {
        let new = self.note(text);
        let is_tried = matches!(self.way, Way::Walk(_));
        let walked = match self.way {
            Way::Measure(mut shape) => {
                self.gate.last(text, &mut shape)?;
                Walked::Unsure(shape.whole())
            }
            Way::Walk(mut rest) => {
                let mut judge = rest.wake(&self.schema.set.plan, new);
                self.gate.last(text, &mut judge)?;
                judge.end(self.seen)
            }
        };
        Ok(self.schema.passed(walked, is_tried))
    }

    /// Notes what is at hand; how much of it is new.
    fn note(&mut self, text: &[u8]) -> usize {
        let before = self.seen;
        self.seen = self.done.saturating_add(text.len());
        self.seen.saturating_sub(before)
    }
}

impl Rest {
    /// What is left of it when a text has gone.
    fn of(judge: Judge<'_, '_>) -> Self {
        Self {
            shape: judge.shape,
            deepest: judge.deepest,
            next: id(judge.next),
            here: LevelAtRest::of(&judge.here),
            outer: judge.outer.iter().map(LevelAtRest::of).collect(),
            steps: judge.steps,
            most: judge.most,
            pattern_steps: judge.patterns.steps,
            holds: judge.holds,
            sure: judge.sure,
        }
    }

    /// The walk, with so many more bytes.
    fn wake<'t, 'p>(&mut self, plan: &'p Plan, bytes: usize) -> Judge<'t, 'p> {
        let get = |id: Option<SchemaId>| id.and_then(|id| plan.get(id));
        let level = |level: &LevelAtRest| Level {
            by: get(level.by),
            items: get(level.items),
            came: level.came,
        };
        let mut judge = Judge {
            plan,
            shape: std::mem::take(&mut self.shape),
            deepest: self.deepest,
            next: get(self.next),
            here: level(&self.here),
            outer: self.outer.iter().map(level).collect(),
            steps: self.steps,
            most: self.most,
            patterns: Patterns::default(),
            holds: self.holds,
            sure: self.sure,
        };
        judge.patterns.steps = self.pattern_steps;
        judge.allow(bytes);
        judge
    }
}

impl LevelAtRest {
    fn of(level: &Level<'_>) -> Self {
        Self {
            by: id(level.by),
            items: id(level.items),
            came: level.came,
        }
    }
}

fn id(planned: Option<&Planned>) -> Option<SchemaId> {
    planned.map(|planned| planned.id)
}
