//! What stands by name in a section of the document, and is named by blocks elsewhere.

use std::cell::Cell;
use std::rc::Rc;

use portcullis_document::{DidYouMean, Node, Pointer, Problems, Quoted};
use portcullis_exchange::gauges::segment;
use portcullis_exchange::section::Reading;

/// What stands in such a section.
pub(crate) trait NamedBlock {
    /// The section.
    const SECTION: &'static str;
    /// What messages call one of them.
    const NOUN: &'static str;
    /// The longest name, in bytes.
    const LONGEST_NAME: usize = 64;
    /// Whether its name is a part of names of metrics: then no two names may be the same there.
    const IN_METRICS: bool = false;
}

/// The blocks of a section, in its order. One that is wrong is still known by name.
#[derive(Debug)]
pub(crate) struct NamedBlocks<T> {
    all: Vec<OneNamed<T>>,
}

#[derive(Debug)]
struct OneNamed<T> {
    name: Rc<str>,
    /// None if it is wrong.
    block: Option<Rc<T>>,
    /// Whether anything has named it.
    used: Cell<bool>,
}

impl<T> Default for NamedBlocks<T> {
    fn default() -> Self {
        Self { all: Vec::new() }
    }
}

impl<T: NamedBlock> NamedBlocks<T> {
    /// Reads each of these blocks.
    pub(crate) fn read<'d>(
        entries: Vec<(&'d str, Node<'d>)>,
        reading: &mut Reading<'_>,
        mut read: impl FnMut(&Rc<str>, &Node<'d>, &mut Reading<'_>) -> Option<T>,
    ) -> Self {
        let mut all: Vec<OneNamed<T>> = Vec::with_capacity(entries.len());
        for (name, node) in entries {
            check_name(name, &all, &node, reading.problems);
            let name: Rc<str> = name.into();
            let block = read(&name, &node, reading).map(Rc::new);
            all.push(OneNamed {
                name,
                block,
                used: Cell::new(false),
            });
        }
        Self { all }
    }

    /// The block of that name; `Some(None)` when it is wrong. From now on it is used.
    pub(crate) fn named(&self, name: &str) -> Option<Option<Rc<T>>> {
        let named = self.all.iter().find(|each| *each.name == *name)?;
        named.used.set(true);
        Some(named.block.clone())
    }

    /// The block that a node names, or `Some(None)` when it is wrong and has been reported there. From now on it
    /// is used.
    pub(crate) fn asked(&self, node: &Node<'_>, problems: &mut Problems) -> Option<Option<Rc<T>>> {
        let name = node.non_empty(problems)?;
        if let Some(found) = self.named(name) {
            return Some(found);
        }
        let is_amiss = self.all.is_empty() && problems.is_amiss(&Pointer::default(), T::SECTION);
        if !is_amiss {
            let near = DidYouMean(name, self.names());
            let (noun, name) = (T::NOUN, Quoted(name));
            node.report(problems, format_args!("no {noun} is named {name}{near}"));
        }
        None
    }

    /// All names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.all.iter().map(|each| &*each.name)
    }

    /// The names that nothing has named so far.
    pub(crate) fn unused(&self) -> impl Iterator<Item = Quoted<'_>> {
        let unused = self.all.iter().filter(|each| !each.used.get());
        unused.map(|each| Quoted(&each.name))
    }

    /// The blocks that are right.
    pub(crate) fn valid(&self) -> impl Iterator<Item = &Rc<T>> {
        self.all.iter().filter_map(|each| each.block.as_ref())
    }
}

/// Reports a name that cannot be that of a block beside those.
fn check_name<T: NamedBlock>(
    name: &str,
    before: &[OneNamed<T>],
    node: &Node<'_>,
    problems: &mut Problems,
) {
    let noun = T::NOUN;
    if !(1..=T::LONGEST_NAME).contains(&name.len()) {
        let longest = T::LONGEST_NAME;
        node.report(
            problems,
            format_args!("the name of a {noun} has from 1 to {longest} bytes"),
        );
    }
    if !T::IN_METRICS {
        return;
    }
    let own = segment(name);
    if let Some(other) = before.iter().find(|each| segment(&each.name) == own) {
        node.report(
            problems,
            format_args!(
                "in names of metrics this is {}, and so is {noun} {}; let their names differ in letters or digits",
                Quoted(&own),
                Quoted(&other.name)
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_exchange::section::Sections;
    use portcullis_wire::json::Json;

    #[derive(Debug, PartialEq)]
    struct Lamp(u64);

    impl NamedBlock for Lamp {
        const SECTION: &'static str = "lamps";
        const NOUN: &'static str = "lamp";
        const IN_METRICS: bool = true;
    }

    /// The lamps of a section.
    fn lamps(section: &Node<'_>, problems: &mut Problems) -> NamedBlocks<Lamp> {
        let (known, mut notes) = (Sections::default(), Vec::new());
        let entries = section.members(problems).unwrap_or_default();
        let mut reading = Reading {
            known: &known,
            notes: &mut notes,
            problems,
        };
        NamedBlocks::read(entries, &mut reading, |_, node, reading| {
            node.integer(reading.problems, 0..=9).map(Lamp)
        })
    }

    /// What is said of a document whose `lamp` names one of its `lamps`.
    fn said(text: &str) -> (Option<Option<Rc<Lamp>>>, Vec<String>) {
        let json = Json::parse(text.as_bytes(), 8).unwrap();
        let root = Node::root(&json);
        let mut problems = Problems::default();
        let all = root.member("lamps");
        let all = all.map(|section| lamps(&section, &mut problems));
        let asked = root.member("lamp").unwrap();
        let asked = all.unwrap_or_default().asked(&asked, &mut problems);
        let said = problems.into_result(Some(())).err();
        let said = said.into_iter().flat_map(|error| error.problems);
        (asked, said.map(|problem| problem.to_string()).collect())
    }

    #[test]
    fn one_is_found_by_its_name() {
        let found = Some(Some(Rc::new(Lamp(7))));
        assert_eq!(
            said(r#"{"lamps":{"a":1,"b":7},"lamp":"b"}"#),
            (found, vec![])
        );
        let (found, said) = said(r#"{"lamps":{"hall":1},"lamp":"halls"}"#);
        assert_eq!(found, None);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].starts_with("/lamp: no lamp is named \"halls\"")
                && said[0].contains("\"hall\""),
            "{said:?}"
        );
    }

    #[test]
    fn what_is_wrong_is_reported_once() {
        for text in [
            r#"{"lamps":{"a":10},"lamp":"a"}"#,
            r#"{"lamps":7,"lamp":"a"}"#,
        ] {
            let (found, said) = said(text);
            assert_eq!(found.flatten(), None);
            assert!(said.len() == 1 && said[0].starts_with("/lamps"), "{said:?}");
        }
    }

    #[test]
    fn names_are_short_and_differ_in_metrics() {
        let long = "a".repeat(65);
        let text = format!(r#"{{"lamps":{{"{long}":1,"":2,"b c":3,"b-c":4}},"lamp":"b-c"}}"#);
        let (found, said) = said(&text);
        assert_eq!(found.flatten().as_deref(), Some(&Lamp(4)));
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].ends_with("has from 1 to 64 bytes"), "{said:?}");
        assert!(said[1].ends_with("has from 1 to 64 bytes"), "{said:?}");
        assert!(said[2].contains("and so is lamp \"b c\""), "{said:?}");
    }

    #[test]
    fn what_nobody_names_is_unused() {
        let json = Json::parse(br#"{"lamps":{"a":1,"b":10,"c":2},"lamp":"b"}"#, 8).unwrap();
        let root = Node::root(&json);
        let mut problems = Problems::default();
        let all = lamps(&root.member("lamps").unwrap(), &mut problems);
        let unused = |all: &NamedBlocks<Lamp>| {
            let unused = all.unused().map(|name| name.to_string());
            unused.collect::<Vec<_>>()
        };
        assert_eq!(unused(&all), ["\"a\"", "\"b\"", "\"c\""]);
        all.asked(&root.member("lamp").unwrap(), &mut problems);
        assert_eq!(unused(&all), ["\"a\"", "\"c\""]);
        assert_eq!(all.names().collect::<Vec<_>>(), ["a", "b", "c"]);
        let valid: Vec<_> = all.valid().map(|lamp| lamp.0).collect();
        assert_eq!(valid, [1, 2]);
    }
}
