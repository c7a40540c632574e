//! Finds out what may stand where: reads all documents that there are, and then, place by place, the same
//! documents with something else there.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use portcullis::questions::{Question, Step};
use serde_json::{Value, json};

use super::model::{Model, Place, UNKNOWN};
use super::reading::{Reading, value_at, with_value};

/// How many documents are varied at each place.
const SAMPLES: usize = 2;

/// Larger documents are read, and not varied.
const LARGEST: usize = 16 << 10;

/// A document in which a value stands, or may stand, at a place.
#[derive(Clone)]
struct Sample {
    document: Rc<Value>,
    way: Vec<Step>,
    is_valid: bool,
    size: usize,
}

#[derive(Default)]
struct Explorer {
    model: Model,
    samples: BTreeMap<Place, Vec<Sample>>,
    /// How many samples of a place have been varied.
    varied: BTreeMap<Place, usize>,
    waiting: VecDeque<Place>,
}

/// What readers ask of documents like these.
pub(super) fn explore(documents: Vec<Value>) -> Model {
    let mut explorer = Explorer::default();
    for document in documents {
        explorer.read(document, &[]);
    }
    while let Some(place) = explorer.waiting.pop_front() {
        explorer.vary(&place);
    }
    explorer.model.united()
}

/// Values of every kind, for a reader that looks at the value itself.
fn variants() -> Vec<Value> {
    vec![
        json!(true),
        json!(false),
        json!(1),
        json!(1.5),
        json!(""),
        json!("off"),
        json!([]),
        json!({}),
    ]
}

/// Values for a reader that asks only this: it refuses all others.
fn answers(question: &Question) -> Vec<Value> {
    match question {
        Question::Object | Question::Map => vec![json!({})],
        Question::Items => vec![json!([])],
        Question::Text | Question::Pattern => vec![json!("")],
        Question::Boolean => vec![json!(true), json!(false)],
        Question::Integer(low, _) => vec![json!(low)],
        Question::Names(names) => names.first().map(|name| json!(name)).into_iter().collect(),
        Question::Duration => vec![json!("10s")],
        Question::Bytes => vec![json!("64KiB"), json!(1)],
        _ => Vec::new(),
    }
}

impl Explorer {
    /// Reads a document, of which all is new or what stands at a place. What was asked there.
    fn read(&mut self, document: Value, way: &[Step]) -> Vec<Question> {
        let reading = Reading::of(&document, way);
        let found = self.model.learn(&document, &reading, way);
        let size = document.to_string().len();
        if size <= LARGEST {
            let document = Rc::new(document);
            for (place, way) in found {
                let sample = Sample {
                    document: Rc::clone(&document),
                    way,
                    is_valid: reading.is_valid(),
                    size,
                };
                self.offer(place, sample);
            }
        }
        let asked = reading.asked.get(way);
        asked
            .map(|answers| answers.questions.clone())
            .unwrap_or_default()
    }

    /// Keeps a sample if it is better than others: valid, and short.
    fn offer(&mut self, place: Place, sample: Sample) {
        let varied = self.varied.get(&place).copied().unwrap_or_default();
        let samples = self.samples.entry(place.clone()).or_default();
        let is_known = |each: &Sample| {
            Rc::ptr_eq(&each.document, &sample.document) || each.is_valid > sample.is_valid
        };
        if varied >= SAMPLES || samples.iter().any(is_known) {
            return;
        }
        if samples.is_empty() {
            self.waiting.push_back(place);
        }
        samples.push(sample);
        samples.sort_by_key(|each| (!each.is_valid, each.size));
        samples.truncate(SAMPLES);
    }

    fn vary(&mut self, place: &Place) {
        let samples = self.samples.remove(place).unwrap_or_default();
        let varied = self.varied.entry(place.clone()).or_default();
        let rest: Vec<Sample> = samples
            .into_iter()
            .take(SAMPLES - (*varied).min(SAMPLES))
            .collect();
        *varied += rest.len();
        for Sample {
            mut document,
            way,
            is_valid,
            ..
        } in rest
        {
            // What excludes another member is read where it stands alone.
            let first = with_value(&document, &way, json!(UNKNOWN));
            if let Some((_, outer)) = way.split_last()
                && matches!(place, Place::Member(..))
                && value_at(&document, &way).is_none()
                && first.is_some_and(|first| self.read(first, &way).is_empty())
                && let Some(bare) = with_value(&document, outer, json!({}))
            {
                document = Rc::new(bare);
            }
            let mut try_value = |value: Value| {
                let changed = with_value(&document, &way, value);
                changed
                    .map(|changed| self.read(changed, &way))
                    .unwrap_or_default()
            };
            let mut questions = try_value(json!(UNKNOWN));
            let looks = |question: &Question| matches!(question, Question::Raw | Question::Off);
            let is_open = questions.is_empty() || questions.iter().any(looks);
            let values: Vec<Value> = match is_open {
                true => variants(),
                false => questions.iter().flat_map(answers).collect(),
            };
            for value in values {
                let asked = try_value(value);
                questions.extend(asked.into_iter().filter(|_| is_open));
            }
            let more = questions
                .iter()
                .filter(|question| matches!(question, Question::Integer(..) | Question::Names(_)));
            let more: Vec<Value> = more.flat_map(answers).collect();
            if is_open {
                more.into_iter().for_each(|value| {
                    try_value(value);
                });
            }
            if is_valid {
                break;
            }
        }
    }
}
