//! `set`, `add_if_absent` and `remove`: what becomes of header fields, as a document says it.

use std::rc::Rc;

use super::template::{Filled, Filling, ValueTemplate, ValueUse};
use portcullis_document::{Fields, Node, Pointer, Quoted};
use portcullis_exchange::edit::Edit;
use portcullis_exchange::policy::Context;
use portcullis_wire::headers::{HeaderName, HeaderValue, Headers, are_alike};

/// A name, and what is written there.
#[derive(Clone, Debug)]
pub(crate) struct WrittenField {
    pub(crate) name: HeaderName,
    pub(crate) value: ValueTemplate,
    /// The value, where it has no places.
    pub(crate) constant: Option<HeaderValue>,
}

/// What becomes of fields.
#[derive(Clone, Debug)]
pub(crate) struct FieldRules {
    /// Where the block stands.
    pub(crate) at: Pointer,
    pub(crate) set: Vec<WrittenField>,
    pub(crate) add: Vec<WrittenField>,
    pub(crate) remove: Vec<HeaderName>,
}

/// Which names a block may change, and what else its values must be.
pub(crate) struct RuleSet {
    /// Why a name cannot be changed there; none if it can. Told whether its value tells who calls.
    pub(crate) refuses: fn(&HeaderName, Option<&ValueTemplate>) -> Option<&'static str>,
}

/// The most fields of one block.
const MOST: usize = 64;

impl FieldRules {
    /// Reads the three.
    pub(crate) fn read(
        fields: &mut Fields<'_>,
        rules: &RuleSet,
        context: &mut Context<'_>,
    ) -> Option<Self> {
        let (set, add) = (fields.optional("set"), fields.optional("add_if_absent"));
        let remove = fields.optional("remove");
        if set.is_none() && add.is_none() && remove.is_none() {
            fields.lacks(
                &["set", "add_if_absent", "remove"],
                context.problems,
                "changes nothing: it has neither `set`, `add_if_absent` nor `remove`",
            );
            return None;
        }
        let mut named: Vec<HeaderName> = Vec::new();
        let mut read = |node: Option<Node<'_>>, context: &mut Context<'_>| match node {
            None => Some(Vec::new()),
            Some(node) => read_written(&node, rules, &mut named, context),
        };
        let (set, add) = (read(set, context), read(add, context));
        let remove = match remove {
            None => Some(Vec::new()),
            Some(node) => read_removed(&node, rules, &mut named, context),
        };
        Some(Self {
            at: fields.pointer().clone(),
            set: set?,
            add: add?,
            remove: remove?,
        })
    }

    /// All that is written.
    pub(crate) fn written(&self) -> impl Iterator<Item = &WrittenField> {
        self.set.iter().chain(&self.add)
    }

    /// The names that it says something of.
    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        let written = self.written().map(|field| &field.name);
        written.chain(&self.remove)
    }

    /// Whether all that is written is the same for all requests.
    pub(crate) fn is_constant(&self) -> bool {
        self.written().all(|field| field.constant.is_some())
    }

    /// What is done with every message, where all values are the same for all: fields are replaced and removed.
    pub(crate) fn constant_edits(&self) -> Rc<[Edit]> {
        let set = self.set.iter().filter_map(|field| {
            let value = field.constant.clone()?;
            Some(Edit::Set(field.name.clone(), value))
        });
        let removed = self.remove.iter().cloned().map(Edit::Remove);
        set.chain(removed).collect()
    }
}

impl WrittenField {
    /// The value for a request.
    pub(crate) fn fill(&self, filling: &Filling<'_>) -> Filled {
        match &self.constant {
            Some(value) => Filled::Value(value.clone()),
            None => self.value.fill(ValueUse::Field, filling),
        }
    }

    /// Whether a message has a field that some services read as this one.
    pub(crate) fn is_in(&self, headers: &Headers) -> bool {
        let name = self.name.as_str().as_bytes();
        headers.iter().any(|(each, _)| are_alike(each, name))
    }
}

/// The names of a message's fields that some services read as that one.
pub(crate) fn alike<'h>(
    name: &'h HeaderName,
    headers: &'h Headers,
) -> impl Iterator<Item = HeaderName> + 'h {
    let named = name.as_str().as_bytes();
    let names = headers.iter().map(|(each, _)| each);
    let names = names.filter(move |each| are_alike(each, named));
    names.filter_map(|each| HeaderName::parse(std::str::from_utf8(each).ok()?).ok())
}

fn read_written(
    node: &Node<'_>,
    rules: &RuleSet,
    named: &mut Vec<HeaderName>,
    context: &mut Context<'_>,
) -> Option<Vec<WrittenField>> {
    let members = node.members(context.problems)?;
    if members.is_empty() || members.len() > MOST {
        node.report(
            context.problems,
            format_args!("must have from 1 to {MOST} fields"),
        );
        return None;
    }
    let mut all = Some(Vec::new());
    for (written, node) in members {
        let name = portcullis_document::header::changeable(
            &node,
            HeaderName::parse(written),
            context.problems,
        );
        let value = ValueTemplate::read(&node, ValueUse::Field, context);
        let read = name.zip(value).and_then(|(name, value)| {
            claim(&name, Some(&value), &node, rules, named, context)?;
            let constant = value.constant();
            let constant = constant.and_then(|text| HeaderValue::parse(text.as_bytes()).ok());
            Some(WrittenField {
                name,
                value,
                constant,
            })
        });
        match (read, &mut all) {
            (Some(read), Some(all)) => all.push(read),
            (Some(_), None) => {}
            (None, _) => all = None,
        }
    }
    all
}

fn read_removed(
    node: &Node<'_>,
    rules: &RuleSet,
    named: &mut Vec<HeaderName>,
    context: &mut Context<'_>,
) -> Option<Vec<HeaderName>> {
    let items = node.items(context.problems)?;
    if items.is_empty() || items.len() > MOST {
        node.report(
            context.problems,
            format_args!("must have from 1 to {MOST} items"),
        );
        return None;
    }
    let mut all = Some(Vec::new());
    for item in &items {
        let name = portcullis_document::header::read_changeable(item, context.problems);
        let read = name.filter(|name| claim(name, None, item, rules, named, context).is_some());
        match (read, &mut all) {
            (Some(read), Some(all)) => all.push(read),
            (Some(_), None) => {}
            (None, _) => all = None,
        }
    }
    all
}

/// Notes that the block says something of a field. None if it may not, or has done so: that has been reported.
fn claim(
    name: &HeaderName,
    value: Option<&ValueTemplate>,
    node: &Node<'_>,
    rules: &RuleSet,
    named: &mut Vec<HeaderName>,
    context: &mut Context<'_>,
) -> Option<()> {
    if name.as_str().contains('*') {
        node.report(
            context.problems,
            "names one field, in which `*` is a letter like others; write each name",
        );
        return None;
    }
    if let Some(reason) = (rules.refuses)(name, value) {
        node.report(context.problems, reason);
        return None;
    }
    let same = |each: &&HeaderName| are_alike(each.as_str().as_bytes(), name.as_str().as_bytes());
    if let Some(other) = named.iter().find(same) {
        let other = Quoted(other.as_str()).to_string();
        node.report(
            context.problems,
            format_args!(
                "this block names {other} already, and services read both as one; keep one of them"
            ),
        );
        return None;
    }
    named.push(name.clone());
    Some(())
}
