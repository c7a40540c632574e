//! Shaping an answer by the plan of its request, the service's or a refusal of ours.

use super::Stream;
use super::planned::{Planned, PlannedStream, View};
use crate::access_log::prepared::Shown;
use crate::engine::Engine;
use crate::plan::{End, Plan, is_in};
use crate::refused::{PlannedReply, Refused};
use portcullis_exchange::connection::Scheme;
use portcullis_exchange::edit::Edit;
use portcullis_exchange::exchange::Author;
use portcullis_exchange::host::Host;
use portcullis_exchange::limits::seconds;
use portcullis_exchange::plan::{PlannedChange, Shaping};
use portcullis_exchange::refusal::usable_id;
use portcullis_wire::append::Appended;
use portcullis_wire::digits::Digits;
use portcullis_wire::pairs::{Block, BlockDraft};

/// What a plan says of the head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedAnswer {
    /// Whether what it does to the head depends on its fields.
    pub reads_fields: bool,
    /// How many fields it sets or removes, at most.
    pub changes: usize,
}

/// A head of an answer that is shaped.
trait Shaped {
    fn change(&mut self, change: PlannedChange<'_>);
    fn edit(&mut self, edit: &Edit);
}

/// Names each change to somebody who carries it out.
struct EachChange<'n, F>(&'n mut F);

impl<F: FnMut(PlannedChange<'_>)> Shaped for EachChange<'_, F> {
    #[inline]
    fn change(&mut self, change: PlannedChange<'_>) {
        (self.0)(change);
    }

    #[inline]
    fn edit(&mut self, edit: &Edit) {
        edit.changes(self.0);
    }
}

impl Shaped for BlockDraft {
    fn change(&mut self, change: PlannedChange<'_>) {
        match change {
            PlannedChange::Remove(name) => self.remove(name.as_bytes()),
            PlannedChange::Set(name, value) => self.set(name.as_bytes(), value),
            PlannedChange::Add(name, value) | PlannedChange::New(name, value) => {
                self.add(name.as_bytes(), value);
            }
            PlannedChange::FilterState(..) => {}
        }
    }

    fn edit(&mut self, edit: &Edit) {
        edit.changes(&mut |change| self.change(change));
    }
}

impl View<'_> {
    #[inline]
    fn answer(self) -> Option<PlannedAnswer> {
        let is_shaped = self.planned.end == End::Passes && self.plan.shapings.is_some();
        is_shaped.then_some(PlannedAnswer {
            reads_fields: self.plan.reads_response,
            changes: self.plan.changes,
        })
    }

    #[inline]
    fn shape(
        self,
        answer: Option<&Block>,
        host: &dyn Host,
        each: &mut impl FnMut(PlannedChange<'_>),
    ) -> bool {
        let (planned, plan) = (self.planned, self.plan);
        // A reply of ours was shaped before it went.
        if planned.end == End::Passes {
            let Some(shapings) = &plan.shapings else {
                return false;
            };
            if let (Some(usual), Some(answer)) = (&plan.usual_answer, answer)
                && usual.add(answer, &planned.fields, planned.standing, each)
            {
                return true;
            }
            self.shape_by_step(shapings, answer, host, each);
        }
        true
    }

    #[inline(never)]
    fn shape_by_step(
        self,
        shapings: &[Shaping],
        answer: Option<&Block>,
        host: &dyn Host,
        each: &mut impl FnMut(PlannedChange<'_>),
    ) {
        let (planned, engine, plan) = (self.planned, self.engine, self.plan);
        let answer = (Author::Upstream, answer);
        planned.shape_all(shapings, answer, plan, engine, host, &mut EachChange(each));
    }
}

impl PlannedStream {
    /// The same as [`Stream::planned_answer`].
    #[inline]
    pub fn answer(&self) -> Option<PlannedAnswer> {
        self.view()?.answer()
    }

    /// The same as [`Stream::response_by_plan`], but for what is noted of it: that it has come matters to who
    /// waits, and nobody does on a plan.
    #[inline]
    pub fn shape(
        &self,
        answer: Option<&Block>,
        host: &dyn Host,
        each: &mut impl FnMut(PlannedChange<'_>),
    ) -> bool {
        let view = self.view();
        view.is_some_and(|view| view.shape(answer, host, each))
    }
}

impl Stream {
    /// What the plan says of the answer's head, if the request passed on one that shapes it.
    pub fn planned_answer(&self) -> Option<PlannedAnswer> {
        self.view()?.answer()
    }

    /// Shapes the head of the answer by the plan: names its changes, in order. `answer` are its fields
    /// where the plan [reads them](PlannedAnswer::reads_fields). False if that is to be done by
    /// [`Stream::on_response_headers`]; then none is named.
    pub fn response_by_plan(
        &mut self,
        answer: Option<&Block>,
        host: &dyn Host,
        each: &mut impl FnMut(PlannedChange<'_>),
    ) -> bool {
        let view = self.view();
        let is_shaped = view.is_some_and(|view| view.shape(answer, host, each));
        self.responded |= is_shaped;
        is_shaped
    }
}

impl Planned {
    /// A refusal as the client gets it.
    pub(super) fn reply(
        &self,
        refused: &Refused,
        plan: &Plan,
        engine: &Engine,
        host: &dyn Host,
    ) -> PlannedReply {
        let id = self.fields.one(Shown::REQUEST_ID).and_then(usable_id);
        let wait = match self.end {
            End::Full => self
                .standing(plan)
                .map(|(_, standing)| seconds(standing.reset).max(1)),
            End::Missing | End::Passes | End::Token(_) => None,
        };
        let mut head = refused.head(wait);
        let fields = plan.reads_response.then(|| head.write());
        let fields = fields.and_then(Block::of);
        let shapings = plan.shapings.as_deref().unwrap_or_default();
        let answer = (Author::Filter, fields.as_ref());
        self.shape_all(shapings, answer, plan, engine, host, &mut head);
        refused.reply(id, &head)
    }

    #[inline]
    fn shape_all(
        &self,
        shapings: &[Shaping],
        answer: (Author, Option<&Block>),
        plan: &Plan,
        engine: &Engine,
        host: &dyn Host,
        shaped: &mut impl Shaped,
    ) {
        for shaping in shapings {
            self.shape(shaping, answer, plan, engine, host, shaped);
        }
        if let Some(name) = &engine.request_id {
            let id = self.fields.one(Shown::REQUEST_ID).and_then(usable_id);
            if let Some(id) = id {
                shaped.change(PlannedChange::Set(name.as_str(), id.as_bytes()));
            }
        }
    }

    #[inline]
    fn scheme(&self, minds_scheme: bool, host: &dyn Host) -> Scheme {
        match minds_scheme {
            true => self.connection.scheme(host),
            false => Scheme::Http,
        }
    }

    #[inline]
    fn shape(
        &self,
        shaping: &Shaping,
        (author, answer): (Author, Option<&Block>),
        plan: &Plan,
        engine: &Engine,
        host: &dyn Host,
        shaped: &mut impl Shaped,
    ) {
        let is_known = self.accepted.is_some() || author == Author::Filter;
        match shaping {
            Shaping::Always(edits) => edits.iter().for_each(|edit| shaped.edit(edit)),
            Shaping::ByCaller {
                minds_scheme,
                https,
                http,
            } => {
                let by_caller = match self.scheme(*minds_scheme, host) {
                    Scheme::Https => https,
                    Scheme::Http => http,
                };
                let edits = match is_known {
                    true => &by_caller.authenticated,
                    false => &by_caller.anyone,
                };
                edits.iter().for_each(|edit| shaped.edit(edit));
            }
            Shaping::Revealing(names) => {
                for (name, _) in answer.iter().flat_map(|answer| answer.iter()) {
                    let find = |known: &&str| known.as_bytes().cmp(name);
                    let found = names.binary_search_by(find).ok();
                    if let Some(name) = found.and_then(|place| names.get(place)) {
                        shaped.change(PlannedChange::Remove(name));
                    }
                }
            }
            Shaping::IfAbsent {
                minds_scheme,
                fields,
            } => {
                let scheme = self.scheme(*minds_scheme, host);
                for field in fields {
                    let applies = (!field.needs_tls || scheme == Scheme::Https)
                        && (!field.needs_caller || is_known);
                    let there = answer.and_then(|answer| answer.first(field.name.as_str()));
                    if applies && there.is_none() {
                        shaped.edit(&field.edit);
                    }
                }
            }
            Shaping::ByOrigin {
                slot,
                listed,
                name,
                star,
                granted,
                withheld,
            } => match self
                .fields
                .one(*slot)
                .filter(|origin| is_in(listed, origin))
            {
                Some(origin) => {
                    let says = star.as_ref().map_or(origin, |star| star.as_bytes());
                    shaped.change(PlannedChange::Set(name.as_str(), says));
                    shaped.edit(granted);
                }
                None => shaped.edit(withheld),
            },
            Shaping::Limits { numbers, lists } => {
                let Some((limit, standing)) = self.standing(plan) else {
                    return;
                };
                let [told_in_numbers, told_in_lists] = limit.is_told();
                if told_in_numbers {
                    let values = [standing.quota, standing.remaining, seconds(standing.reset)];
                    for (name, value) in numbers.iter().zip(values) {
                        shaped.change(PlannedChange::Set(
                            name.as_str(),
                            Digits::of(value).as_bytes(),
                        ));
                    }
                }
                if told_in_lists {
                    let period = seconds(standing.period).max(1);
                    let values = [
                        [(";q=", standing.quota), (";w=", period)],
                        [
                            (";r=", standing.remaining),
                            (";t=", seconds(standing.reset)),
                        ],
                    ];
                    engine.plans.with_buffer(|buffer| {
                        for (name, parameters) in lists.iter().zip(values) {
                            let mut list = Appended::in_place_of(buffer);
                            for part in ["\"", limit.name(), "\""] {
                                list.put(part.as_bytes());
                            }
                            for (parameter, number) in parameters {
                                list.put(parameter.as_bytes());
                                list.put(Digits::of(number).as_bytes());
                            }
                            let list = list.into_bytes();
                            shaped.change(PlannedChange::Set(name.as_str(), list));
                        }
                    });
                }
            }
        }
    }
}
