//! Declared parameters, and the judgement of what came for them.

use std::borrow::Cow;

use portcullis_document::Pointer;
use portcullis_schema::{
    Decimal, Schema, Text, TextError, TypeSet, Value, Verdict, Violation, allowance,
};
use portcullis_wire::budget;
use portcullis_wire::budget::{Reservation, Share};
use portcullis_wire::regex::Effort;

/// A parameter that has been declared.
pub struct Parameter {
    /// Its name, as the document writes it. Names of header fields in lower case.
    pub name: String,
    /// Whether it must be there.
    pub required: bool,
    /// Whether its schema is not asked when its value is empty.
    pub allow_empty: bool,
    style: Style,
    schema: Schema,
    kinds: TypeSet,
    item_kinds: TypeSet,
    /// Where in the document it is declared.
    place: Pointer,
}

/// How the value of a parameter is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// One value, which is no list.
    Single,
    /// A list: the parameter comes once for each item.
    Repeated,
    /// A list in one value: its items stand between these characters.
    Separated(char),
    /// A JSON text.
    Json,
}

/// Where parameters stand. In the log, a parameter is `/query/name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterLocation {
    /// In the query.
    Query,
    /// In the path.
    Path,
    /// In header fields.
    Headers,
    /// In a form.
    Form,
}

/// The parameters of one part of a request.
pub struct ParameterSet {
    part: ParameterLocation,
    declared: Vec<Parameter>,
}

/// What is wrong with the parameters of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct ParameterError {
    /// The kind of fault.
    pub wrong: ParameterErrorKind,
    /// The parameter, by its name in the document, and what is wrong with it. Empty where that
    /// name is the client's own.
    pub violations: Vec<Violation>,
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterErrorKind {
    /// A required parameter is not there.
    Missing,
    /// One that has one value came twice.
    Repeated,
    /// One that nobody declared.
    Undeclared,
    /// A value is not as its schema asks.
    Schema,
    /// It would take too much work to tell.
    Effort,
}

/// How deep JSON in a parameter may nest.
const MAX_DEPTH: usize = 32;
/// No number is longer.
const MAX_NUMBER_BYTES: usize = 128;
/// How many items a list in one value may have. So many are judged in some milliseconds.
const MOST_ITEMS: usize = 100_000;

impl Parameter {
    /// A parameter whose values a schema judges. `style` must be one of a list if the schema asks
    /// for one.
    pub fn new(name: &str, style: Style, schema: Schema, place: Pointer) -> Self {
        Self {
            name: name.to_owned(),
            required: false,
            allow_empty: false,
            style,
            kinds: schema.kinds(),
            item_kinds: schema.items_kinds(),
            schema,
            place,
        }
    }

    fn judge(
        &self,
        part: ParameterLocation,
        values: &[&str],
        effort: &Effort,
    ) -> Result<(), ParameterError> {
        let one = match values {
            [] if self.required => {
                return Err(self.fault(part, ParameterErrorKind::Missing, "required"));
            }
            [] => return Ok(()),
            [""] if self.allow_empty => return Ok(()),
            [one] => one,
            // RFC 9110 §5.3: lines of a list are one list.
            _ if self.style == Style::Repeated || self.is_list_of_lines(part) => "",
            _ => return Err(self.fault(part, ParameterErrorKind::Repeated, "maxItems")),
        };
        let Some(_memory) = self.memory_for_items(values) else {
            return Err(self.fault(part, ParameterErrorKind::Effort, "type"));
        };
        let items: Vec<&str> = match self.style {
            Style::Single => return self.judge_single(part, one, effort),
            Style::Json => return self.judge_json(part, one, effort),
            Style::Repeated => values.to_vec(),
            Style::Separated(separator) => {
                let lines = values.iter().filter(|line| !line.is_empty());
                let items = lines.flat_map(|line| line.split(separator));
                items.map(|item| trim(part, item)).collect()
            }
        };
        let list: Vec<Value<'_>> = items.iter().map(|item| self.item(item)).collect();
        self.settle(part, self.schema.judge_value(&Value::Array(list), effort))
    }

    /// Memory for the items of a list in one value; none if there are too many.
    fn memory_for_items(&self, values: &[&str]) -> Option<Reservation> {
        // Where an item stands, in a list that grows by doubling, and its value.
        const ITEM: usize = 3 * size_of::<&str>() + size_of::<Value<'_>>();
        let Style::Separated(separator) = self.style else {
            return Some(Reservation::none(Share::Bodies));
        };
        let items = values.iter().flat_map(|line| line.split(separator));
        let count = items.take(MOST_ITEMS.saturating_add(1)).count();
        if count > MOST_ITEMS {
            return None;
        }
        budget::reserve(Share::Bodies, count.saturating_mul(ITEM))
    }

    fn is_list_of_lines(&self, part: ParameterLocation) -> bool {
        part == ParameterLocation::Headers && matches!(self.style, Style::Separated(_))
    }

    /// A text may be more than one value. It is in order if one of them is.
    fn judge_single(
        &self,
        part: ParameterLocation,
        text: &str,
        effort: &Effort,
    ) -> Result<(), ParameterError> {
        let mut last = Verdict::Undecided;
        for value in readings(text, self.kinds) {
            last = self.schema.judge_value(&value, effort);
            if last == Verdict::Valid || last == Verdict::Undecided {
                break;
            }
        }
        self.settle(part, last)
    }

    fn judge_json(
        &self,
        part: ParameterLocation,
        text: &str,
        effort: &Effort,
    ) -> Result<(), ParameterError> {
        match Text::parse(text.as_bytes(), MAX_DEPTH) {
            Ok(text) => self.settle(part, self.schema.judge_value(&text.value, effort)),
            Err(TextError::Memory) => Err(self.fault(part, ParameterErrorKind::Effort, "type")),
            Err(_) => Err(self.fault(part, ParameterErrorKind::Schema, "type")),
        }
    }

    fn item<'v>(&self, text: &'v str) -> Value<'v> {
        let mut readings = readings(text, self.item_kinds);
        readings.next().unwrap_or(Value::Null)
    }

    fn settle(&self, part: ParameterLocation, verdict: Verdict) -> Result<(), ParameterError> {
        match verdict {
            Verdict::Valid => Ok(()),
            Verdict::Undecided => Err(self.fault(part, ParameterErrorKind::Effort, "type")),
            Verdict::Invalid(mut violations) => {
                let pointer = self.pointer(part);
                for violation in &mut violations {
                    violation.instance.insert_str(0, &pointer);
                }
                let wrong = ParameterErrorKind::Schema;
                Err(ParameterError { wrong, violations })
            }
        }
    }

    fn fault(
        &self,
        part: ParameterLocation,
        wrong: ParameterErrorKind,
        keyword: &'static str,
    ) -> ParameterError {
        let violations = vec![Violation {
            instance: self.pointer(part),
            keyword,
            schema: self.place.to_string(),
        }];
        ParameterError { wrong, violations }
    }

    fn pointer(&self, part: ParameterLocation) -> String {
        let part = Pointer::default().member(part.name());
        part.member(&self.name).to_string()
    }
}

impl ParameterError {
    /// Something came that nobody declared.
    pub fn undeclared() -> Self {
        Self {
            wrong: ParameterErrorKind::Undeclared,
            violations: Vec::new(),
        }
    }
}

impl ParameterLocation {
    fn name(self) -> &'static str {
        match self {
            ParameterLocation::Query => "query",
            ParameterLocation::Path => "path",
            ParameterLocation::Headers => "headers",
            ParameterLocation::Form => "form",
        }
    }
}

impl ParameterSet {
    /// These parameters.
    pub fn new(part: ParameterLocation, declared: Vec<Parameter>) -> Self {
        Self { part, declared }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.declared.iter()
    }

    /// Whether one has that name.
    pub fn declares(&self, name: &str) -> bool {
        self.declared.iter().any(|each| each.name == name)
    }

    /// Whether the name of one differs from it in case at most.
    pub fn resembles(&self, name: &str) -> bool {
        let mut declared = self.declared.iter();
        declared.any(|each| each.name.eq_ignore_ascii_case(name))
    }

    /// Judges what came, names and values in order. What nobody declared is not looked at.
    ///
    /// # Errors
    /// The first fault.
    pub fn judge(&self, came: &[(Cow<'_, str>, Cow<'_, str>)]) -> Result<(), ParameterError> {
        let bytes = came
            .iter()
            .map(|(name, value)| name.len().saturating_add(value.len()));
        let effort = allowance(bytes.fold(0, usize::saturating_add), came.len());
        let mut values = Vec::new();
        for parameter in &self.declared {
            values.clear();
            let named = came.iter().filter(|(name, _)| *name == parameter.name);
            values.extend(named.map(|(_, value)| &**value));
            // Each of those that came has been compared with its name.
            let compared = u64::try_from(came.len()).unwrap_or(u64::MAX);
            if effort.spend(compared.saturating_add(1)).is_err() {
                return Err(parameter.fault(self.part, ParameterErrorKind::Effort, "type"));
            }
            parameter.judge(self.part, &values, &effort)?;
        }
        Ok(())
    }
}

/// RFC 9110 §5.6.1: blanks around an item of a field do not count.
fn trim(part: ParameterLocation, item: &str) -> &str {
    match part {
        ParameterLocation::Headers => item.trim_matches([' ', '\t']),
        ParameterLocation::Query | ParameterLocation::Path | ParameterLocation::Form => item,
    }
}

/// The values that a text may be for a schema that takes these kinds. A schema that takes every
/// kind says nothing of numbers, so there is one: the text.
fn readings(text: &str, kinds: TypeSet) -> impl Iterator<Item = Value<'_>> {
    let alone = kinds.is_every();
    let number = if alone { None } else { number(text, kinds) };
    let boolean = match text {
        "true" if kinds.boolean() && !alone => Some(Value::Bool(true)),
        "false" if kinds.boolean() && !alone => Some(Value::Bool(false)),
        _ => None,
    };
    // Where it cannot be anything, the schema is to say what is wrong with it.
    let is_text = kinds.text() || (number.is_none() && boolean.is_none());
    let string = is_text.then_some(Value::String(Cow::Borrowed(text)));
    [string, number, boolean].into_iter().flatten()
}

/// A number as JSON writes it; an integer without fraction and exponent, which not every reader
/// of integers takes.
fn number<'v>(text: &str, kinds: TypeSet) -> Option<Value<'v>> {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let readable = kinds.fraction() || (kinds.number() && digits(text));
    let readable = readable && text.len() <= MAX_NUMBER_BYTES;
    let number = readable.then(|| Decimal::parse(text.as_bytes()));
    number.flatten().map(Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_document::{Node, Problems};
    use portcullis_schema::{Formats, Notes};
    use portcullis_wire::json::Json;

    fn parameter(schema: &str, style: Style) -> Parameter {
        let json = Json::parse(schema.as_bytes(), 16).unwrap();
        let mut problems = Problems::default();
        let schema = Schema::read(
            &Node::root(&json),
            Formats::Assert,
            &mut Notes::default(),
            &mut problems,
        );
        Parameter::new("p", style, schema.unwrap(), Pointer::default())
    }

    fn judge(parameter: Parameter, values: &[&str]) -> Result<(), ParameterErrorKind> {
        let set = ParameterSet::new(ParameterLocation::Query, vec![parameter]);
        let named = |value: &&'static str| (Cow::Borrowed("p"), Cow::Borrowed(*value));
        let values: Vec<&'static str> = values.iter().map(|v| &*v.to_string().leak()).collect();
        let came: Vec<_> = values.iter().map(named).collect();
        set.judge(&came).map_err(|fault| fault.wrong)
    }

    #[test]
    fn a_text_is_read_by_the_type_of_its_schema() {
        for (schema, good, bad) in [
            (r#"{"type": "integer"}"#, "-12", "1.0"),
            (r#"{"type": "integer", "minimum": 10}"#, "10", "9"),
            (r#"{"type": "number"}"#, "1.5e3", "1,5"),
            (r#"{"type": "boolean"}"#, "true", "True"),
            (r#"{"type": "string", "maxLength": 2}"#, "12", "123"),
            (r#"{"enum": [1, "x"]}"#, "1", "2"),
            (r#"{"const": true}"#, "true", "false"),
            (r#"{"minimum": 5, "pattern": "^a"}"#, "a", "7"),
            (
                r#"{"anyOf": [{"type": "integer", "maximum": 5}, {"const": "all"}]}"#,
                "5",
                "6",
            ),
            (
                r##"{"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}"##,
                "1",
                "a",
            ),
            (
                r#"{"allOf": [{"type": ["integer", "string"]}, {"type": "integer"}]}"#,
                "1",
                "a",
            ),
            (r#"{"type": "null"}"#, "null", "null"),
        ] {
            let single = |text| judge(parameter(schema, Style::Single), &[text]);
            if good != bad {
                assert_eq!(single(good), Ok(()), "{schema} {good}");
            }
            assert_eq!(
                single(bad),
                Err(ParameterErrorKind::Schema),
                "{schema} {bad}"
            );
        }
    }

    #[test]
    fn a_list_is_written_in_its_style() {
        let list = r#"{"type": "array", "items": {"type": "integer"}, "maxItems": 2}"#;
        let judged = |style, values: &[&str]| judge(parameter(list, style), values);
        assert_eq!(judged(Style::Repeated, &["1", "2"]), Ok(()));
        assert_eq!(
            judged(Style::Repeated, &["1,2"]),
            Err(ParameterErrorKind::Schema)
        );
        assert_eq!(judged(Style::Separated(','), &["1,2"]), Ok(()));
        assert_eq!(judged(Style::Separated(','), &[""]), Ok(()));
        assert_eq!(
            judged(Style::Separated(','), &["1", "2"]),
            Err(ParameterErrorKind::Repeated)
        );
        assert_eq!(
            judged(Style::Separated('|'), &["1|2|3"]),
            Err(ParameterErrorKind::Schema)
        );
        assert_eq!(judged(Style::Json, &["[1,2]"]), Ok(()));
    }

    #[test]
    fn a_list_in_one_value_has_so_many_items_and_memory_for_them() {
        let judged = |commas: usize| {
            let list = parameter(r#"{"type": "array"}"#, Style::Separated(','));
            judge(list, &[&",".repeat(commas)])
        };
        assert_eq!(judged(MOST_ITEMS - 1), Ok(()));
        assert_eq!(judged(MOST_ITEMS), Err(ParameterErrorKind::Effort));
        assert_eq!(budget::used(Share::Bodies), 0);
        let spent = budget::reserve(Share::Bodies, Share::Bodies.most() - 1000).unwrap();
        assert_eq!(judged(1000), Err(ParameterErrorKind::Effort));
        drop(spent);
        assert_eq!(judged(1000), Ok(()));
    }

    #[test]
    fn an_empty_value_may_be_none() {
        let with = |allow_empty| Parameter {
            allow_empty,
            ..parameter(r#"{"type": "integer"}"#, Style::Single)
        };
        assert_eq!(judge(with(true), &[""]), Ok(()));
        assert_eq!(judge(with(false), &[""]), Err(ParameterErrorKind::Schema));
    }
}
