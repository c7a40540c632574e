//! Reading the groups of `from` and `to`: each field says what it is asked of, and has a form that begins with
//! `not_`.

use std::rc::Rc;

use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::geo::Geo;
use portcullis_wire::json::Json;

use super::rule::{FieldTest, Group, Values};
use crate::networks::NetworkLists;
use portcullis_exchange::target::LetterCase;

/// A field of a group.
pub(super) struct GroupField {
    name: &'static str,
    /// The name of the field that holds where this does not; none if its values say both.
    not_name: Option<&'static str>,
    read: fn(&Node<'_>, &mut GroupReader<'_>) -> Option<Values>,
}

/// What the document says of where clients are.
#[derive(Clone, Copy)]
pub(super) struct RuleSources<'p> {
    pub(super) networks: &'p NetworkLists,
    pub(super) geo: &'p Rc<Geo>,
}

/// What values are read with.
pub(super) struct GroupReader<'r> {
    pub(super) letter_case: LetterCase,
    pub(super) places: RuleSources<'r>,
    pub(super) problems: &'r mut Problems,
    /// How many parts of the rule have been read.
    pub(super) parts: usize,
}

impl GroupField {
    pub(super) const fn new(
        name: &'static str,
        not_name: &'static str,
        read: fn(&Node<'_>, &mut GroupReader<'_>) -> Option<Values>,
    ) -> Self {
        Self {
            name,
            not_name: Some(not_name),
            read,
        }
    }

    /// A field of which nothing else is the opposite.
    pub(super) const fn alone(
        name: &'static str,
        read: fn(&Node<'_>, &mut GroupReader<'_>) -> Option<Values>,
    ) -> Self {
        Self {
            name,
            not_name: None,
            read,
        }
    }
}

impl GroupField {
    /// Its names.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        [Some(self.name), self.not_name].into_iter().flatten()
    }
}

impl GroupReader<'_> {
    /// The number of the next part.
    pub(super) fn part(&mut self) -> usize {
        let part = self.parts;
        self.parts = part.saturating_add(1);
        part
    }
}

/// The most groups of one rule.
const MOST_GROUPS: usize = 32;

/// Reads one group, or a list of groups of which one is to match.
pub(super) fn read_groups(
    node: &Node<'_>,
    known: &'static [GroupField],
    reader: &mut GroupReader<'_>,
) -> Option<Vec<Group>> {
    if let Json::Object(_) = node.json() {
        return Some(vec![read_group(node, known, reader)?]);
    }
    let items = node.items(reader.problems)?;
    if items.is_empty() || items.len() > MOST_GROUPS {
        node.report(
            reader.problems,
            format_args!("must have from 1 to {MOST_GROUPS} items"),
        );
        return None;
    }
    let groups: Vec<Option<Group>> = items
        .iter()
        .map(|item| read_group(item, known, reader))
        .collect();
    groups.into_iter().collect()
}

fn read_group(
    node: &Node<'_>,
    known: &'static [GroupField],
    reader: &mut GroupReader<'_>,
) -> Option<Group> {
    let mut fields = node.fields(reader.problems)?;
    let mut tests = Vec::new();
    let mut good = true;
    for field in known {
        let names = [
            Some((field.name, false)),
            field.not_name.map(|name| (name, true)),
        ];
        for (name, is_negated) in names.into_iter().flatten() {
            if let Some(node) = fields.optional(name) {
                let values = (field.read)(&node, reader);
                good &= values.is_some();
                tests.extend(values.map(|values| FieldTest {
                    part: reader.part(),
                    name,
                    at: node.pointer().clone(),
                    is_negated,
                    values,
                }));
            }
        }
    }
    let is_empty = tests.is_empty() && good;
    // Fields that are not known are the problem where there are some.
    let is_bare = matches!(node.json(), Json::Object(object) if object.iter().next().is_none());
    if is_bare {
        lack(&mut fields, known, reader.problems);
    }
    fields.deny_unknown(reader.problems);
    (good && !is_empty).then_some(Group { tests })
}

/// An empty group would match everything: nobody writes one to say that.
fn lack(fields: &mut Fields<'_>, known: &'static [GroupField], problems: &mut Problems) {
    let names: Vec<&str> = known.iter().flat_map(GroupField::names).collect();
    fields.lacks(
        &names,
        problems,
        "asks for nothing, so it would be for everything; write a field into it, or leave it out",
    );
}
