//! What is known of the format: places where values stand, and objects with the names of their members.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::questions::{Question, Step};
use serde_json::Value;

use super::reading::{Reading, Said, value_at};

/// Objects that are read alike: by the same reader, under the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ObjectKey {
    /// The name of the nearest member that the object stands in.
    pub(super) name: String,
    /// Where the reader stands in the sources.
    pub(super) reader: String,
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The whole document.
    Root,
    /// The member of an object.
    Member(ObjectKey, String),
    /// Under a name that the operator chooses.
    Value(Box<Place>),
    /// In a list.
    Item(Box<Place>),
}

/// Of what kind a value is, as far as readers tell kinds apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Null,
    False,
    True,
    Number,
    Text,
    List,
    Object,
}

/// What is known of a place.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Objects that stand there.
    pub(super) objects: BTreeSet<ObjectKey>,
    /// Whether there are objects with names of the operator's choice.
    pub(super) is_map: bool,
    pub(super) accepted: BTreeSet<Kind>,
    pub(super) refused: BTreeSet<Kind>,
    /// Kinds that were asked for, and not refused as such.
    pub(super) wanted: BTreeSet<Kind>,
    /// Names of which one is to be chosen.
    pub(super) names: Vec<String>,
    /// Texts that are accepted and were not looked up among names.
    pub(super) literals: BTreeSet<String>,
    pub(super) is_free_text: bool,
    pub(super) is_duration: bool,
    pub(super) is_size: bool,
    pub(super) is_pattern: bool,
    /// The least and the most of all whole numbers that are asked for.
    pub(super) integers: Option<(u64, u64)>,
    /// Whether numbers are read that need not be whole.
    pub(super) is_any_number: bool,
    /// What was said of empty texts and lists.
    pub(super) empty: BTreeSet<(Kind, bool)>,
    /// Values of any kind, of which nothing more is asked here: schemas, documents of APIs.
    pub(super) is_foreign: bool,
}

/// What is known of objects that are read alike.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    /// In the order in which they were first asked for.
    pub(super) names: Vec<String>,
    pub(super) is_closed: bool,
    /// Sets of names of which one was lacking.
    lacked: BTreeSet<Vec<String>>,
    /// What was there in each object that was read to its end: the names, and what it lacked.
    seen: BTreeSet<(Vec<String>, Vec<Vec<String>>)>,
}

/// All that is known.
#[derive(Default)]
pub(super) struct Model {
    pub(super) places: BTreeMap<Place, Facts>,
    pub(super) objects: BTreeMap<ObjectKey, Members>,
    /// Keys of what turned out to be the same object.
    same: BTreeMap<ObjectKey, ObjectKey>,
}

/// What is tried beside the blocks of a route.
const BESIDE: &str = "route_shadow";

/// A text that no reader knows, and none looks for.
pub(super) const UNKNOWN: &str = "qx7";

impl Place {
    /// The name of the nearest member.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Root => "document".to_owned(),
            // The same reader reads what is tried beside any block, there or in the `shadow` of a route.
            Self::Member(object, name) if name == "shadow" => match object.name.as_str() {
                "routes_item" => BESIDE.to_owned(),
                block => format!("{block}_shadow"),
            },
            Self::Member(object, name) if object.name == BESIDE => format!("{name}_shadow"),
            Self::Member(_, name) => name.clone(),
            Self::Value(outer) => format!("{}_value", outer.name()),
            Self::Item(outer) => format!("{}_item", outer.name()),
        }
    }
}

impl Kind {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(false) => Self::False,
            Value::Bool(true) => Self::True,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::Text,
            Value::Array(_) => Self::List,
            Value::Object(_) => Self::Object,
        }
    }
}

/// Sources that read what has a format of its own.
fn is_foreign(reader: &str) -> bool {
    reader.starts_with("src/schema/")
}

fn is_foreign_place(place: &Place) -> bool {
    let Place::Value(outer) = place else {
        return false;
    };
    matches!(&**outer, Place::Member(object, name)
        if object.name == "document" && ["schemas", "apis"].contains(&name.as_str()))
}

impl Model {
    /// Takes up what a reading tells of what stands at a place and within, and returns the places of the values
    /// that were read there, with those of members, items and values that could be there.
    pub(super) fn learn(
        &mut self,
        document: &Value,
        reading: &Reading,
        new: &[Step],
    ) -> Vec<(Place, Vec<Step>)> {
        let mut places: BTreeMap<&[Step], Place> = BTreeMap::new();
        let mut found = Vec::new();
        for (way, answers) in &reading.asked {
            let place = match way.split_last() {
                None => Some(Place::Root),
                Some((last, before)) => self.place_within(&places, reading, before, last),
            };
            let (Some(place), Some(value)) = (place, value_at(document, way)) else {
                continue;
            };
            places.insert(way, place.clone());
            if way.len() < new.len() {
                continue;
            }
            found.push((place.clone(), way.clone()));
            let said = reading.said(way, value);
            let keys: Vec<ObjectKey> = answers
                .readers
                .iter()
                .map(|reader| ObjectKey {
                    name: place.name(),
                    reader: reader.clone(),
                })
                .collect();
            let facts = self.places.entry(place.clone()).or_default();
            facts.is_foreign |= is_foreign_place(&place);
            facts.is_foreign |= answers.readers.iter().any(|reader| is_foreign(reader));
            facts.learn(value, &answers.questions, said);
            if facts.is_foreign {
                continue;
            }
            let is_object = value.is_object() && !keys.is_empty();
            let is_map =
                value.is_object() && !is_object && answers.questions.contains(&Question::Map);
            facts.is_map |= is_map;
            let within = |step: Step| [way.as_slice(), &[step]].concat();
            if is_map {
                let way = within(Step::Member(UNKNOWN.to_owned()));
                found.push((Place::Value(Box::new(place.clone())), way));
            }
            if value.is_array() && answers.questions.contains(&Question::Items) {
                found.push((Place::Item(Box::new(place.clone())), within(Step::Item(0))));
            }
            if !is_object {
                continue;
            }
            facts.objects.extend(keys.iter().cloned());
            let first = keys[0].clone();
            for other in &keys[1..] {
                self.unite(&first, other);
            }
            let members = self.objects.entry(first.clone()).or_default();
            members.learn(value, &answers.questions);
            for name in members.names.clone() {
                let way = within(Step::Member(name.clone()));
                found.push((Place::Member(first.clone(), name), way));
            }
        }
        // Values that nobody asked anything: valid all the same if the document is.
        for (place, way) in &found {
            if let Some(value) = value_at(document, way)
                && !reading.asked.contains_key(way)
            {
                let said = reading.said(way, value);
                self.places
                    .entry(place.clone())
                    .or_default()
                    .learn(value, &[], said);
            }
        }
        found
    }

    fn place_within(
        &self,
        places: &BTreeMap<&[Step], Place>,
        reading: &Reading,
        before: &[Step],
        last: &Step,
    ) -> Option<Place> {
        let outer = places.get(before)?;
        let facts = self.places.get(outer)?;
        if facts.is_foreign {
            return None;
        }
        let answers = reading.asked.get(before)?;
        match (last, answers.readers.first()) {
            (Step::Item(_), _) => Some(Place::Item(Box::new(outer.clone()))),
            (Step::Member(name), Some(reader)) => {
                let key = ObjectKey {
                    name: outer.name(),
                    reader: reader.clone(),
                };
                let is_asked = |question: &Question| matches!(question, Question::Member(asked) if asked == name);
                let is_asked = answers.questions.iter().any(is_asked);
                is_asked.then(|| Place::Member(key, name.clone()))
            }
            (Step::Member(_), None) => answers
                .questions
                .contains(&Question::Map)
                .then(|| Place::Value(Box::new(outer.clone()))),
        }
    }

    fn unite(&mut self, one: &ObjectKey, other: &ObjectKey) {
        let (one, other) = (self.root_of(one), self.root_of(other));
        if one != other {
            let (low, high) = if one < other {
                (one, other)
            } else {
                (other, one)
            };
            self.same.insert(high, low);
        }
    }

    fn root_of(&self, key: &ObjectKey) -> ObjectKey {
        let mut key = key;
        while let Some(next) = self.same.get(key) {
            key = next;
        }
        key.clone()
    }

    fn root_of_place(&self, place: &Place) -> Place {
        match place {
            Place::Root => Place::Root,
            Place::Member(object, name) => Place::Member(self.root_of(object), name.clone()),
            Place::Value(outer) => Place::Value(Box::new(self.root_of_place(outer))),
            Place::Item(outer) => Place::Item(Box::new(self.root_of_place(outer))),
        }
    }

    /// The same with one key for what is one object.
    pub(super) fn united(self) -> Self {
        let mut united = Self::default();
        for (place, facts) in &self.places {
            let mut facts = facts.clone();
            facts.objects = facts.objects.iter().map(|key| self.root_of(key)).collect();
            let place = self.root_of_place(place);
            united.places.entry(place).or_default().merge(facts);
        }
        for (key, members) in &self.objects {
            let key = self.root_of(key);
            united
                .objects
                .entry(key)
                .or_default()
                .merge(members.clone());
        }
        united
    }
}

impl Facts {
    fn learn(&mut self, value: &Value, questions: &[Question], said: Said) {
        let kind = Kind::of(value);
        match said {
            Said::Nothing => return,
            Said::WrongKind => {
                self.refused.insert(kind);
                // A word that stands in place of another kind.
                return;
            }
            Said::Accepted => {
                self.accepted.insert(kind);
            }
            Said::Wrong => {}
        }
        let is_accepted = said == Said::Accepted;
        for question in questions {
            let wanted = match (question, kind) {
                (Question::Integer(low, high), Kind::Number) => {
                    let (least, most) = self.integers.unwrap_or((*low, *high));
                    self.integers = Some((least.min(*low), most.max(*high)));
                    true
                }
                (Question::Bytes, Kind::Number) => {
                    self.integers.get_or_insert((0, 1 << 31));
                    true
                }
                (Question::Boolean, Kind::True | Kind::False)
                | (Question::Object | Question::Map, Kind::Object)
                | (Question::Items, Kind::List)
                | (Question::Text | Question::Duration | Question::Bytes, Kind::Text) => true,
                _ => false,
            };
            if wanted {
                self.wanted.insert(kind);
            }
            if wanted && *question == Question::Boolean {
                self.wanted.extend([Kind::True, Kind::False]);
            }
        }
        let is_whole =
            |question: &Question| matches!(question, Question::Integer(..) | Question::Bytes);
        match value {
            Value::Number(_) => {
                self.is_any_number |= is_accepted && !questions.iter().any(is_whole)
            }
            Value::Array(items) if items.is_empty() => {
                self.empty.insert((kind, is_accepted));
            }
            Value::String(text) => self.learn_text(text, questions, is_accepted),
            _ => {}
        }
    }

    fn learn_text(&mut self, text: &str, questions: &[Question], is_accepted: bool) {
        if text.is_empty() {
            self.empty.insert((Kind::Text, is_accepted));
        }
        let mut is_plain = true;
        for question in questions {
            match question {
                Question::Names(names) => {
                    let new = names.iter().filter(|name| !self.names.contains(name));
                    let new: Vec<String> = new.cloned().collect();
                    self.names.extend(new);
                }
                Question::Duration => self.is_duration = true,
                Question::Bytes => self.is_size = true,
                Question::Pattern => self.is_pattern = true,
                _ => continue,
            }
            is_plain = false;
        }
        if is_plain && is_accepted {
            self.literals.insert(text.to_owned());
        }
        let is_asked = questions.contains(&Question::Text);
        self.is_free_text |= is_plain && text.starts_with(UNKNOWN) && (is_accepted || is_asked);
    }

    /// The same, without what passed unread.
    pub(super) fn as_asked(&self) -> Self {
        let mut asked = self.clone();
        asked.accepted = self.wanted.clone();
        if !self.objects.is_empty() {
            asked.accepted.insert(Kind::Object);
        }
        asked
    }

    /// Whether values of a kind may stand here.
    pub(super) fn takes(&self, kind: Kind) -> bool {
        if self.accepted.contains(&kind) {
            return true;
        }
        self.wanted.contains(&kind) && !self.refused.contains(&kind)
    }

    /// Whether texts or lists must not be empty, wherever that was tried.
    pub(super) fn refuses_empty(&self, kind: Kind) -> bool {
        self.empty.contains(&(kind, false)) && !self.empty.contains(&(kind, true))
    }

    fn merge(&mut self, other: Self) {
        self.objects.extend(other.objects);
        self.is_map |= other.is_map;
        self.accepted.extend(other.accepted);
        self.refused.extend(other.refused);
        self.wanted.extend(other.wanted);
        for name in other.names {
            if !self.names.contains(&name) {
                self.names.push(name);
            }
        }
        self.literals.extend(other.literals);
        self.is_free_text |= other.is_free_text;
        self.is_duration |= other.is_duration;
        self.is_size |= other.is_size;
        self.is_pattern |= other.is_pattern;
        self.integers = match (self.integers, other.integers) {
            (Some((low, high)), Some((least, most))) => Some((low.min(least), high.max(most))),
            (one, other) => one.or(other),
        };
        self.is_any_number |= other.is_any_number;
        self.empty.extend(other.empty);
        self.is_foreign |= other.is_foreign;
    }
}

impl Members {
    fn learn(&mut self, value: &Value, questions: &[Question]) {
        let mut lacked = Vec::new();
        for question in questions {
            match question {
                Question::Member(name) if !self.names.iter().any(|each| each == name) => {
                    self.names.push((*name).to_owned());
                }
                Question::Lacks(names) => lacked.push(names.clone()),
                Question::Closed => self.is_closed = true,
                _ => {}
            }
        }
        if questions.contains(&Question::Closed) {
            let there = value.as_object().into_iter().flatten();
            let there = there.map(|(name, _)| name.clone()).collect();
            self.lacked.extend(lacked.iter().cloned());
            self.seen.insert((there, lacked));
        }
    }

    fn merge(&mut self, other: Self) {
        for name in other.names {
            if !self.names.contains(&name) {
                self.names.push(name);
            }
        }
        self.is_closed |= other.is_closed;
        self.lacked.extend(other.lacked);
        self.seen.extend(other.seen);
    }

    /// Sets of names of which one must be there, always.
    pub(super) fn required(&self) -> Vec<Vec<String>> {
        let always = |set: &&Vec<String>| {
            let mut seen = self.seen.iter();
            seen.all(|(there, lacked)| {
                set.iter().any(|name| there.contains(name)) || lacked.contains(set)
            })
        };
        let mut sets: Vec<Vec<String>> = self.lacked.iter().filter(always).cloned().collect();
        for set in &mut sets {
            set.retain(|name| self.names.contains(name));
        }
        sets.retain(|set| !set.is_empty());
        sets
    }
}
