//! What an operation comes to, once its fragments are put in. Numbers that are too large stay at the largest.

use std::borrow::Cow;

use super::{
    Document, DocumentFault, Given, Operation, OperationKind, Selection, SelectionKind, Span,
};
use portcullis_wire::budget::{Share, reserve};
use portcullis_wire::effort::Effort;

/// How much there is in an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many fields contain one another.
    pub depth: u64,
    pub fields: u64,
    /// Fields of the operation itself.
    pub root_fields: u64,
    pub aliases: u64,
    pub directives: u64,
    pub cost: u64,
    /// Whether a list has a length that cannot be told: the cost is not known.
    pub is_of_unknown_cost: bool,
    /// Whether it asks for the schema.
    pub asks_for_schema: bool,
}

/// What fields cost. Types are not known, so a field is known by its name, and by its type where that is the
/// operation's.
#[derive(Debug, Default)]
pub struct CostTable {
    /// Of a field that is not listed.
    pub default: u64,
    /// How much more what is within a field costs than the field.
    pub depth_factor: u64,
    /// By name, in order.
    pub fields: Vec<(Box<str>, u64)>,
    /// Of fields of operations, by kind and name, in order.
    pub root_fields: Vec<((OperationKind, Box<str>), u64)>,
    /// The arguments that say how many items a field has.
    pub list_arguments: Vec<Box<str>>,
}

/// A variable that came with an operation, as far as it can be the length of a list.
#[derive(Clone, Debug)]
pub struct GivenVariable<'v> {
    pub name: Cow<'v, [u8]>,
    /// None if it is no number that is a length; `Some(None)` for `null`.
    pub length: Option<Option<u64>>,
}

/// An operation under way.
struct Measure<'m, 't> {
    document: &'m Document<'t>,
    operation: &'m Operation<'t>,
    costs: Option<&'m CostTable>,
    variables: &'m [GivenVariable<'m>],
    effort: &'m Effort,
    /// What each fragment comes to.
    fragments: Vec<Totals>,
    /// The same where it is put into the operation itself.
    at_root: Vec<Totals>,
    open: Vec<OpenSelection>,
}

/// A selection whose set is open.
struct OpenSelection {
    place: u32,
    end: u32,
    is_root: bool,
    /// What has been found in it.
    within: Totals,
}

/// What a selection takes beside the work of its arguments, in steps of the effort.
const STEPS_OF_A_SELECTION: u64 = 4;

/// Fields that say what the schema is: those of the specification, and the one with which federated services
/// show theirs.
fn asks_for_schema(name: &[u8]) -> bool {
    name.starts_with(b"__") && name != b"__typename" || name == b"_service"
}

impl Totals {
    /// Adds what stands beside it.
    pub fn add(&mut self, other: &Self) {
        self.depth = self.depth.max(other.depth);
        self.fields = self.fields.saturating_add(other.fields);
        self.root_fields = self.root_fields.saturating_add(other.root_fields);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.directives = self.directives.saturating_add(other.directives);
        self.cost = self.cost.saturating_add(other.cost);
        self.is_of_unknown_cost |= other.is_of_unknown_cost;
        self.asks_for_schema |= other.asks_for_schema;
    }
}

impl CostTable {
    fn of(&self, name: &[u8], kind: Option<OperationKind>) -> u64 {
        let of_root = kind.and_then(|kind| {
            let found = self.root_fields.binary_search_by(|((of, each), _)| {
                of.cmp(&kind).then_with(|| each.as_bytes().cmp(name))
            });
            self.root_fields.get(found.ok()?)
        });
        if let Some((_, cost)) = of_root {
            return *cost;
        }
        let found = self
            .fields
            .binary_search_by(|(each, _)| each.as_bytes().cmp(name));
        match found.ok().and_then(|found| self.fields.get(found)) {
            Some((_, cost)) => *cost,
            None if name == b"__typename" => 0,
            None => self.default,
        }
    }
}

impl<'t> Document<'t> {
    /// What an operation of this document comes to, with these variables.
    ///
    /// # Errors
    /// [`DocumentFault::Effort`] and [`DocumentFault::Memory`].
    pub fn measure(
        &self,
        operation: &Operation<'t>,
        costs: Option<&CostTable>,
        variables: &[GivenVariable<'_>],
        effort: &Effort,
    ) -> Result<Totals, DocumentFault> {
        let count = self.fragments.len();
        let bytes = count.saturating_mul(size_of::<Totals>()).saturating_mul(2);
        let _memory = reserve(Share::Bodies, bytes).ok_or(DocumentFault::Memory)?;
        let mut measure = Measure {
            document: self,
            operation,
            costs,
            variables,
            effort,
            fragments: vec![Totals::default(); count],
            at_root: vec![Totals::default(); count],
            open: Vec::new(),
        };
        for place in &self.order {
            let place = *place as usize;
            let Some(fragment) = self.fragments.get(place) else {
                continue;
            };
            for is_root in [false, true] {
                let mut totals = measure.of(fragment.selections, is_root)?;
                totals.directives = totals
                    .directives
                    .saturating_add(u64::from(fragment.directives));
                let list = match is_root {
                    true => &mut measure.at_root,
                    false => &mut measure.fragments,
                };
                if let Some(slot) = list.get_mut(place) {
                    *slot = totals;
                }
            }
        }
        let mut totals = measure.of(operation.selections, true)?;
        let variables = operation.directives;
        totals.directives = totals.directives.saturating_add(u64::from(variables));
        Ok(totals)
    }

    /// Shows the fields of an operation itself, those of its fragments among them. A name may come often.
    ///
    /// # Errors
    /// [`DocumentFault::Effort`] and [`DocumentFault::Memory`].
    pub fn root_fields(
        &self,
        operation: &Operation<'t>,
        effort: &Effort,
        see: &mut dyn FnMut(&'t [u8]) -> Result<(), DocumentFault>,
    ) -> Result<(), DocumentFault> {
        let count = self.fragments.len();
        let each = size_of::<Span>().saturating_add(1);
        let bytes = count.saturating_add(1).saturating_mul(each);
        let _memory = reserve(Share::Bodies, bytes).ok_or(DocumentFault::Memory)?;
        let mut seen = vec![false; count];
        let mut to_see = vec![operation.selections];
        while let Some(Span { start, end }) = to_see.pop() {
            let mut next = start;
            while next < end {
                effort.spend(STEPS_OF_A_SELECTION)?;
                let Some(selection) = self.selections.get(next as usize) else {
                    break;
                };
                next = next.saturating_add(1);
                match selection.kind {
                    // What is within it follows.
                    SelectionKind::Inline => {}
                    SelectionKind::Field => {
                        see(selection.name)?;
                        next = selection.end.max(next);
                    }
                    SelectionKind::Spread(place) => {
                        let fragment = self.fragments.get(place as usize);
                        if let (Some(seen), Some(fragment)) =
                            (seen.get_mut(place as usize), fragment)
                            && !std::mem::replace(seen, true)
                        {
                            to_see.push(fragment.selections);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl Measure<'_, '_> {
    /// What these selections come to.
    fn of(&mut self, selections: Span, is_root: bool) -> Result<Totals, DocumentFault> {
        self.open.clear();
        self.open.push(OpenSelection {
            place: u32::MAX,
            end: selections.end,
            is_root,
            within: Totals::default(),
        });
        let mut next = selections.start;
        loop {
            let Some(here) = self.open.last() else {
                return Ok(Totals::default());
            };
            if next < here.end {
                self.effort.spend(STEPS_OF_A_SELECTION)?;
                self.begin(next, here.is_root);
                next = next.saturating_add(1);
                continue;
            }
            let Some(ended) = self.open.pop() else {
                return Ok(Totals::default());
            };
            let whole = match self.document.selections.get(ended.place as usize) {
                Some(selection) => self.whole(selection, &ended)?,
                None => return Ok(ended.within),
            };
            if let Some(around) = self.open.last_mut() {
                around.within.add(&whole);
            }
        }
    }

    /// Opens the selection at that place.
    fn begin(&mut self, place: u32, is_around_root: bool) {
        let Some(selection) = self.document.selections.get(place as usize) else {
            return;
        };
        self.open.push(OpenSelection {
            place,
            end: selection.end,
            // The fields of an inline fragment are those of what it stands in; for a field it is its own place.
            is_root: is_around_root && selection.kind == SelectionKind::Inline,
            within: match selection.kind {
                SelectionKind::Spread(fragment) => {
                    let list = match is_around_root {
                        true => &self.at_root,
                        false => &self.fragments,
                    };
                    let totals = list.get(fragment as usize);
                    totals.copied().unwrap_or_default()
                }
                SelectionKind::Field | SelectionKind::Inline => Totals::default(),
            },
        });
    }

    /// What a selection comes to with what is within it.
    fn whole(
        &self,
        selection: &Selection<'_>,
        ended: &OpenSelection,
    ) -> Result<Totals, DocumentFault> {
        let mut totals = ended.within;
        let directives = u64::from(selection.directives);
        totals.directives = totals.directives.saturating_add(directives);
        if selection.kind != SelectionKind::Field {
            return Ok(totals);
        }
        let is_root = self.open.last().is_some_and(|around| around.is_root);
        totals.depth = totals.depth.saturating_add(1);
        totals.fields = totals.fields.saturating_add(1);
        totals.root_fields = u64::from(is_root);
        totals.aliases = totals
            .aliases
            .saturating_add(u64::from(selection.is_aliased));
        totals.asks_for_schema |= asks_for_schema(selection.name);
        if let Some(costs) = self.costs {
            let own = costs.of(selection.name, is_root.then_some(self.operation.kind));
            let within = totals.cost.saturating_mul(costs.depth_factor);
            totals.cost = own.saturating_add(within);
            match self.length(selection)? {
                Some(length) => totals.cost = totals.cost.saturating_mul(length.max(1)),
                None => totals.is_of_unknown_cost = true,
            }
        }
        Ok(totals)
    }

    /// How many items a field may have by its arguments; none if that cannot be told.
    fn length(&self, selection: &Selection<'_>) -> Result<Option<u64>, DocumentFault> {
        let mut longest = 1;
        for (_, given) in selection.arguments.of(&self.document.arguments) {
            let length = match given {
                Given::Nothing => Some(1),
                Given::Number(length) => Some(*length),
                Given::Variable(name) => self.variable(name)?,
                Given::Other => None,
            };
            match length {
                Some(length) => longest = length.max(longest),
                None => return Ok(None),
            }
        }
        Ok(Some(longest))
    }

    fn variable(&self, name: &[u8]) -> Result<Option<u64>, DocumentFault> {
        let defined = self.operation.variables.of(&self.document.variables);
        let looked_at = defined.len().saturating_add(self.variables.len());
        self.effort.spend(looked_at as u64)?;
        let Some((_, default)) = defined.iter().find(|(each, _)| *each == name) else {
            return Ok(None);
        };
        let given = self.variables.iter().find(|each| *each.name == *name);
        Ok(match (given.map(|given| given.length), default) {
            (Some(None), _) => None,
            // What is `null`, or has no default either, is as if the argument were not there.
            (Some(Some(length)), _) => Some(length.unwrap_or(1)),
            (None, Given::Number(length)) => Some(*length),
            (None, Given::Nothing) => Some(1),
            (None, Given::Variable(_) | Given::Other) => None,
        })
    }
}
