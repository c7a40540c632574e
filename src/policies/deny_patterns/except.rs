//! ExceptedTexts that are left alone: as an application that takes markup for markup needs it.

use super::place::{PLACES, SearchedPart};
use super::read::{Scope, read_classes};
use super::whereabouts::{JsonStep, Whereabouts};
use portcullis_detect::{Class, Classes};
use portcullis_document::{Node, Problems, Quoted};
use portcullis_exchange::claim_path::ClaimPath;
use portcullis_exchange::route::read_header_name;
use portcullis_wire::json::array_index;

/// ExceptedTexts of which some classes, or everything, is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exception {
    of: ExceptedTexts,
    places: Vec<SearchedPart>,
    /// None: whatever is looked for.
    classes: Option<Classes>,
}

/// Which texts of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ExceptedTexts {
    All,
    /// Those of the header field, the cookie or the parameter of that name.
    Named(String),
    /// Those at that pointer, and in what stands there.
    At(ClaimPath),
}

/// What is not looked for in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeftAlone {
    Of(Classes),
    Wholly,
}

const HEADERS: &[SearchedPart] = &[SearchedPart::Headers];
const COOKIES: &[SearchedPart] = &[SearchedPart::Cookies];
const JSON: &[SearchedPart] = &[SearchedPart::Json];
/// Where parameters stand.
const PARAMETERS: &[SearchedPart] = &[
    SearchedPart::Query,
    SearchedPart::Form,
    SearchedPart::Multipart,
];

impl Exception {
    /// Reads those of a block that looks for this.
    pub(super) fn read_list(
        node: &Node<'_>,
        scope: &Scope,
        problems: &mut Problems,
    ) -> Option<Vec<Self>> {
        let list = node.list(problems, |node, problems| Self::read(node, scope, problems))?;
        let items = node.items(problems)?;
        for ((place, exception), item) in list.iter().enumerate().zip(&items) {
            let mut others = list.iter().enumerate();
            let within = others.find(|(other, wider)| {
                *other != place
                    && exception.is_within(wider)
                    && (*other < place || !wider.is_within(exception))
            });
            if let Some((other, _)) = within {
                let reason =
                    format_args!("leaves nothing out that exception {other} does not leave out");
                item.report(problems, reason);
            }
        }
        Some(list)
    }

    fn read(node: &Node<'_>, scope: &Scope, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let named = [
            ("header", HEADERS, fields.optional("header")),
            ("cookie", COOKIES, fields.optional("cookie")),
            ("json_pointer", JSON, fields.optional("json_pointer")),
            ("parameter", PARAMETERS, fields.optional("parameter")),
        ];
        let mut written = Vec::new();
        for (name, possible, node) in named {
            written.extend(node.map(|node| (name, possible, node)));
        }
        let narrowed = fields.optional("in");
        let classes = match fields.optional("classes") {
            None => Some(None),
            Some(node) => read_excepted(&node, scope, problems).map(Some),
        };
        let (of, places) = match (&written[..], &narrowed) {
            ([(name, possible, node)], narrowed) => {
                let of = ExceptedTexts::read(name, node, problems);
                let places = match narrowed {
                    None => named_places(name, possible, node, scope, problems),
                    Some(node) => read_places(node, possible, scope, problems),
                };
                (of, places)
            }
            ([], Some(node)) => {
                if classes == Some(None) {
                    let reason = "leaves nothing to look for there; take it out of `in` of the block, or name `classes`";
                    node.report(problems, reason);
                }
                let every = PLACES.map(|(_, place)| place);
                (
                    Some(ExceptedTexts::All),
                    read_places(node, &every, scope, problems),
                )
            }
            ([], None) => {
                let reason =
                    "names no texts; write `header`, `cookie`, `parameter`, `json_pointer` or `in`";
                let names = ["header", "cookie", "parameter", "json_pointer", "in"];
                fields.lacks(&names, problems, reason);
                (None, None)
            }
            ([(first, ..), (_, _, node), ..], _) => {
                let reason = format_args!("stands beside `{first}`; write an exception for each");
                node.report(problems, reason);
                (None, None)
            }
        };
        fields.deny_unknown(problems);
        Some(Self {
            of: of?,
            places: places?,
            classes: classes?,
        })
    }

    /// Whether the other leaves all of this out.
    fn is_within(&self, other: &Self) -> bool {
        let classes = match (self.classes, other.classes) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(others)) => own.without(others).is_empty(),
        };
        let texts = match (&self.of, &other.of) {
            (_, ExceptedTexts::All) => true,
            (ExceptedTexts::At(own), ExceptedTexts::At(other)) => {
                own.tokens().starts_with(other.tokens())
            }
            (own, other) => own == other,
        };
        classes && texts && self.places.iter().all(|place| other.places.contains(place))
    }

    fn covers(&self, at: &Whereabouts<'_>) -> bool {
        self.places.contains(&at.place)
            && match &self.of {
                ExceptedTexts::All => true,
                ExceptedTexts::Named(name) => at.name == Some(name.as_bytes()),
                ExceptedTexts::At(pointer) => leads_to(pointer.tokens(), at.steps),
            }
    }
}

impl LeftAlone {
    /// What exceptions leave out of a text.
    pub(super) fn by(exceptions: &[Exception], at: &Whereabouts<'_>) -> Self {
        let mut left = Classes::ALL;
        for exception in exceptions.iter().filter(|each| each.covers(at)) {
            match exception.classes {
                Some(classes) => left = left.without(classes),
                None => return LeftAlone::Wholly,
            }
        }
        LeftAlone::Of(Classes::ALL.without(left))
    }
}

impl ExceptedTexts {
    fn read(name: &str, node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        match name {
            "header" => {
                let header = read_header_name(node, problems)?;
                if header.as_str() == "cookie" {
                    node.report(problems, "cookies are looked at one by one: write `cookie`");
                    return None;
                }
                Some(ExceptedTexts::Named(header.as_str().to_owned()))
            }
            "json_pointer" => ClaimPath::read_pointer(node, problems).map(ExceptedTexts::At),
            _ => {
                let name = node.non_empty(problems)?;
                Some(ExceptedTexts::Named(name.to_owned()))
            }
        }
    }
}

/// Whether a pointer leads to a place or to what it stands in. A `*` is any element of an array.
fn leads_to(pointer: &[String], steps: &[JsonStep<'_>]) -> bool {
    let is = |(token, step): (&String, &JsonStep<'_>)| match step {
        JsonStep::Item(index) => token == "*" || array_index(token) == Some(*index),
        JsonStep::Member(Some(name)) => match name.plain() {
            Some(plain) => plain == token.as_bytes(),
            None => *name.decoded() == *token.as_bytes(),
        },
        JsonStep::Member(None) => false,
    };
    pointer.len() <= steps.len() && pointer.iter().zip(steps).all(is)
}

/// Where texts of that name may stand, of what is looked at.
fn named_places(
    name: &str,
    possible: &[SearchedPart],
    node: &Node<'_>,
    scope: &Scope,
    problems: &mut Problems,
) -> Option<Vec<SearchedPart>> {
    let places = possible.iter().filter(|place| scope.places.contains(place));
    let places: Vec<_> = places.copied().collect();
    if places.is_empty() {
        let reason =
            format_args!("can match nothing: no place with a {name} is among `in` of the block");
        node.report(problems, reason);
        return None;
    }
    Some(places)
}

fn read_places(
    node: &Node<'_>,
    possible: &[SearchedPart],
    scope: &Scope,
    problems: &mut Problems,
) -> Option<Vec<SearchedPart>> {
    let choices = PLACES.into_iter();
    let choices: Vec<_> = choices
        .filter(|(_, place)| possible.contains(place))
        .collect();
    node.list(problems, |node, problems| {
        let place = node.choice(problems, &choices)?;
        if !scope.places.contains(&place) {
            let reason = "can match nothing: it is not among `in` of the block";
            node.report(problems, reason);
            return None;
        }
        Some(place)
    })
}

fn read_excepted(node: &Node<'_>, scope: &Scope, problems: &mut Problems) -> Option<Classes> {
    let classes = read_classes(node, problems)?;
    if classes.is_empty() {
        node.report(problems, "must not be empty");
        return None;
    }
    let foreign = classes.without(scope.classes);
    if let Some(class) = Class::ALL.into_iter().find(|class| foreign.has(*class)) {
        let reason = format_args!(
            "can match nothing: {} is not among `classes` of the block",
            Quoted(class.name())
        );
        node.report(problems, reason);
        return None;
    }
    Some(classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_leads_to_what_stands_there_and_in_it() {
        let pointer = |text: &str| -> Vec<String> { text.split('/').map(str::to_owned).collect() };
        let steps = [
            JsonStep::Item(0),
            JsonStep::Item(12),
            JsonStep::Member(None),
        ];
        for text in ["0", "*", "0/12", "*/*", "*/12"] {
            assert!(leads_to(&pointer(text), &steps), "{text}");
        }
        for text in ["1", "00", "0/1", "0/12/a", "0/12/*", "*/*/*/*"] {
            assert!(!leads_to(&pointer(text), &steps), "{text}");
        }
    }
}
