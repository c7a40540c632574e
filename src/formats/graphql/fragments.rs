//! Which fragments are where, and in which order they can be looked at: each after those that it uses.

use super::parse::{place, push};
use super::{Document, DocumentFault, Fragment, Selection, SelectionKind, Span};
use portcullis_wire::effort::Effort;
use portcullis_wire::sort::sort;

/// How far the search has come with a fragment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    No,
    /// What it uses is being looked for.
    Open,
    Done,
}

/// What is searched: an operation, or the fragment at that place.
struct Searched {
    next: u32,
    end: u32,
    fragment: Option<u32>,
}

/// A step of the effort is enough for so many comparisons of names.
const COMPARED_BY_A_STEP: u64 = 4;

impl Document<'_> {
    /// Finds the fragments that are put in, and their order.
    pub(super) fn resolve(&mut self, effort: &Effort) -> Result<(), DocumentFault> {
        let names = self.fragments.len().saturating_add(self.selections.len()) as u64;
        let depth = u64::from(self.fragments.len().max(2).ilog2());
        effort.spend(names.saturating_mul(depth) / COMPARED_BY_A_STEP)?;
        sort(&mut self.fragments, |one, other| one.name.cmp(other.name));
        let same = |two: &[Fragment<'_>]| matches!(two, [one, other] if one.name == other.name);
        if self.fragments.windows(2).any(same) {
            return Err(DocumentFault::Repeated);
        }
        self.check_operations(effort)?;
        for selection in &mut self.selections {
            if let SelectionKind::Spread(fragment) = &mut selection.kind {
                let name = selection.name;
                let found = self.fragments.binary_search_by(|each| each.name.cmp(name));
                let found = found.map_err(|_| DocumentFault::UnknownFragment)?;
                *fragment = u32::try_from(found).unwrap_or(u32::MAX);
            }
        }
        self.search()
    }

    /// Operations have names, each its own; or there is one, which may have none.
    fn check_operations(&self, effort: &Effort) -> Result<(), DocumentFault> {
        let [first, others @ ..] = self.operations.as_slice() else {
            return Err(DocumentFault::Syntax);
        };
        if others.is_empty() {
            return Ok(());
        }
        let count = self.operations.len() as u64;
        effort.spend(count.saturating_mul(count))?;
        let mut rest = others;
        let mut each = first;
        loop {
            if each.name.is_none() {
                return Err(DocumentFault::Unnamed);
            }
            if rest.iter().any(|other| other.name == each.name) {
                return Err(DocumentFault::Repeated);
            }
            let Some((next, after)) = rest.split_first() else {
                return Ok(());
            };
            (each, rest) = (next, after);
        }
    }

    /// Goes from the operations to all that they use.
    fn search(&mut self) -> Result<(), DocumentFault> {
        let count = self.fragments.len();
        let each = size_of::<Found>().saturating_add(size_of::<Searched>());
        if !self.memory.grow(count.saturating_mul(each)) {
            return Err(DocumentFault::Memory);
        }
        let mut found = vec![Found::No; count];
        let mut under_way: Vec<Searched> = Vec::new();
        for operation in &self.operations {
            under_way.push(Searched::of(operation.selections, None));
            while let Some(here) = under_way.last_mut() {
                if here.next == here.end {
                    if let Some(fragment) = here.fragment {
                        set(&mut found, fragment, Found::Done);
                        push(&mut self.order, fragment, &mut self.memory)?;
                    }
                    under_way.pop();
                    continue;
                }
                let selection = self.selections.get(here.next as usize);
                here.next = here.next.saturating_add(1);
                let Some(Selection {
                    kind: SelectionKind::Spread(fragment),
                    ..
                }) = selection.copied()
                else {
                    continue;
                };
                match found.get(fragment as usize) {
                    Some(Found::Done) => {}
                    Some(Found::Open) => return Err(DocumentFault::Cycle),
                    Some(Found::No) => {
                        set(&mut found, fragment, Found::Open);
                        let inner = self.fragments.get(fragment as usize);
                        let inner = inner.map(|inner| inner.selections).unwrap_or_default();
                        under_way.push(Searched::of(inner, Some(fragment)));
                    }
                    None => return Err(DocumentFault::UnknownFragment),
                }
            }
        }
        match place(&self.order) == place(&self.fragments) {
            true => Ok(()),
            false => Err(DocumentFault::UnusedFragment),
        }
    }
}

fn set(found: &mut [Found], fragment: u32, state: Found) {
    if let Some(each) = found.get_mut(fragment as usize) {
        *each = state;
    }
}

impl Searched {
    fn of(selections: Span, fragment: Option<u32>) -> Self {
        Self {
            next: selections.start,
            end: selections.end,
            fragment,
        }
    }
}
