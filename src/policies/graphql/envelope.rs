//! What a document comes in: JSON, or the parameters of a query. Members are those of the protocol and no others,
//! each at most once, and each of its type.

use std::borrow::Cow;

use portcullis_exchange::alike::is_like;
use portcullis_exchange::refusal::Reason;
use portcullis_exchange::refusal::core::NO_MEMORY;
use portcullis_formats::graphql::GivenVariable;
use portcullis_wire::json_gate::{
    Fault, Kind, Limits, MemberName, Numbers, Text, Watch, Word, Written, watch,
};
use portcullis_wire::urlencoded::{Controls, Pair, pairs};

use super::refusals;

/// One operation to be carried out.
#[derive(Debug, Default)]
pub(super) struct Envelope<'t> {
    pub(super) query: Option<Cow<'t, [u8]>>,
    pub(super) operation_name: Option<Cow<'t, [u8]>>,
    pub(super) variables: Vec<GivenVariable<'t>>,
    /// The SHA-256 of the document, as it was sent.
    pub(super) hash: Option<Cow<'t, [u8]>>,
}

/// All of a request.
#[derive(Debug, Default)]
pub(super) struct Envelopes<'t> {
    pub(super) all: Vec<Envelope<'t>>,
    pub(super) is_batch: bool,
}

/// What JSON may be. Deeper variables are not what a schema asks for, and longer numbers no number of anybody's.
const LIMITS: Limits = Limits {
    depth: 64,
    values: 100_000,
    members: 1000,
    elements: 10_000,
    key_bytes: 256,
    string_bytes: usize::MAX,
    number_bytes: 64,
    numbers: Numbers::Double,
};

/// The names of the protocol.
const QUERY: &[u8] = b"query";
const OPERATION_NAME: &[u8] = b"operationName";
const VARIABLES: &[u8] = b"variables";
const EXTENSIONS: &[u8] = b"extensions";
const NAMES: [&[u8]; 4] = [QUERY, OPERATION_NAME, VARIABLES, EXTENSIONS];

/// Parameters by which some services find a document that they know, and carry it out whatever `query` says.
const DOCUMENT_IDS: [&str; 4] = ["id", "documentId", "doc_id", "queryId"];

/// Reads a JSON body, of which so many operations are read at most.
pub(super) fn read_json<'t>(text: &'t [u8], most: usize) -> Result<Envelopes<'t>, &'static Reason> {
    let mut reader = EnvelopeReader::new(Place::Request, most);
    reader.read(text)?;
    match reader.envelopes.all.is_empty() {
        // An empty list, or no object.
        true => Err(&refusals::MEMBER),
        false => Ok(reader.envelopes),
    }
}

/// Whether a query has parameters of the protocol, or what some services take for them.
pub(super) fn has_parameters(query: &[u8]) -> Result<bool, &'static Reason> {
    let pairs = read_pairs(query)?;
    let is_ours = |pair: &Pair<'_>| {
        let mut names = NAMES
            .iter()
            .filter_map(|name| std::str::from_utf8(name).ok());
        names.any(|name| is_like(&pair.name, name)) || names_document(pair)
    };
    Ok(pairs.iter().any(is_ours))
}

fn names_document(pair: &Pair<'_>) -> bool {
    DOCUMENT_IDS.iter().any(|name| is_like(&pair.name, name))
}

fn read_pairs(query: &[u8]) -> Result<Vec<Pair<'_>>, &'static Reason> {
    pairs(query, Controls::Lines).map_err(|_| &refusals::PARAMETER)
}

/// Reads the parameters of a query, and hands what they are to `see`.
pub(super) fn with_query<T>(
    query: &[u8],
    see: impl FnOnce(Envelopes<'_>) -> T,
) -> Result<T, &'static Reason> {
    let pairs = read_pairs(query)?;
    let mut found: [Option<&[u8]>; 4] = [None; 4];
    for pair in &pairs {
        if names_document(pair) {
            return Err(&refusals::PARAMETER);
        }
        for (place, name) in found.iter_mut().zip(NAMES) {
            let name = std::str::from_utf8(name).unwrap_or_default();
            let is_it = pair.name == name;
            let is_twice = is_it && place.replace(pair.value.as_bytes()).is_some();
            if is_twice || !is_it && is_like(&pair.name, name) {
                return Err(&refusals::PARAMETER);
            }
        }
    }
    let [query, operation_name, variables, extensions] = found;
    let mut reader = EnvelopeReader::new(Place::EnvelopeMember(EnvelopeMember::Variables), 1);
    reader.envelopes.all.push(Envelope {
        query: query.map(Cow::Borrowed),
        operation_name: operation_name.map(Cow::Borrowed),
        ..Envelope::default()
    });
    for (text, member) in [
        (variables, EnvelopeMember::Variables),
        (extensions, EnvelopeMember::Extensions),
    ] {
        if let Some(text) = text {
            reader.place = Place::EnvelopeMember(member);
            reader.read(text)?;
        }
    }
    Ok(see(reader.envelopes))
}

/// A member of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EnvelopeMember {
    Query,
    OperationName,
    Variables,
    Extensions,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The whole request.
    Request,
    /// An operation of a batch.
    Item,
    /// The value of a member.
    EnvelopeMember(EnvelopeMember),
    /// The value of a variable.
    Variable,
    /// `persistedQuery`
    Persisted,
    /// `sha256Hash`
    Hash,
    /// What nobody here looks at.
    Other,
}

/// Takes out of JSON what is asked for.
struct EnvelopeReader<'t> {
    envelopes: Envelopes<'t>,
    most: usize,
    place: Place,
    /// Where the values are that are open.
    open: Vec<Place>,
    variable: Option<Cow<'t, [u8]>>,
    fault: Option<&'static Reason>,
}

/// What stands at a place.
enum Came<'t> {
    Null,
    Object,
    Array,
    Text(Text<'t>),
    Number(&'t [u8]),
    Boolean,
}

impl<'t> EnvelopeReader<'t> {
    fn new(place: Place, most: usize) -> Self {
        Self {
            envelopes: Envelopes::default(),
            most,
            place,
            open: Vec::new(),
            variable: None,
            fault: None,
        }
    }

    fn read(&mut self, text: &'t [u8]) -> Result<(), &'static Reason> {
        let walked = watch(text, &LIMITS, self);
        match (walked, self.fault) {
            (Err(Fault::Memory), _) => Err(&NO_MEMORY),
            (Err(_), _) => Err(&refusals::JSON),
            (Ok(()), Some(fault)) => Err(fault),
            (Ok(()), None) => Ok(()),
        }
    }

    fn blame(&mut self, reason: &'static Reason) {
        self.fault.get_or_insert(reason);
    }

    /// What is to be read now: a value of a list has the place of those in it.
    fn take_place(&mut self) -> Place {
        match self.open.last() {
            Some(Place::Request) if self.envelopes.is_batch => Place::Item,
            _ => self.place,
        }
    }

    fn came(&mut self, place: Place, came: &Came<'t>) {
        let envelope = self.envelopes.all.last_mut();
        match (place, came, envelope) {
            (Place::Request | Place::Item, Came::Object, _) => {
                if self.envelopes.all.len() >= self.most {
                    self.blame(&refusals::BATCH);
                    return;
                }
                self.envelopes.all.push(Envelope::default());
            }
            (Place::Request, Came::Array, _) => self.envelopes.is_batch = true,
            (Place::EnvelopeMember(EnvelopeMember::Query), Came::Text(text), Some(envelope)) => {
                envelope.query = Some(text.decoded());
            }
            (
                Place::EnvelopeMember(EnvelopeMember::OperationName),
                Came::Text(text),
                Some(envelope),
            ) => {
                envelope.operation_name = Some(text.decoded());
            }
            (
                Place::EnvelopeMember(EnvelopeMember::Variables | EnvelopeMember::Extensions),
                Came::Object,
                _,
            )
            | (Place::EnvelopeMember(_), Came::Null, _)
            | (Place::Persisted, Came::Object, _)
            | (Place::Other, _, _) => {}
            (Place::Variable, came, Some(envelope)) => {
                if let Some(name) = self.variable.take() {
                    let length = came.length();
                    envelope.variables.push(GivenVariable { name, length });
                }
            }
            (Place::Hash, Came::Text(text), Some(envelope)) => {
                envelope.hash = Some(text.decoded());
            }
            _ => self.blame(&refusals::MEMBER),
        }
    }

    fn value(&mut self, came: &Came<'t>) -> Place {
        let place = self.take_place();
        self.came(place, came);
        place
    }
}

impl Came<'_> {
    /// How many items a list has by it, as far as it can be told.
    fn length(&self) -> Option<Option<u64>> {
        match self {
            Came::Null => Some(None),
            Came::Number(digits) => {
                let digits = std::str::from_utf8(digits).ok()?;
                digits.parse().ok().map(Some)
            }
            Came::Object | Came::Array | Came::Text(_) | Came::Boolean => None,
        }
    }
}

impl<'t> Watch<'t> for EnvelopeReader<'t> {
    fn name(&mut self, name: MemberName<'t>) {
        let name = name.text.decoded();
        self.place = match (self.open.last(), &*name) {
            (Some(Place::Request | Place::Item), QUERY) => {
                Place::EnvelopeMember(EnvelopeMember::Query)
            }
            (Some(Place::Request | Place::Item), OPERATION_NAME) => {
                Place::EnvelopeMember(EnvelopeMember::OperationName)
            }
            (Some(Place::Request | Place::Item), VARIABLES) => {
                Place::EnvelopeMember(EnvelopeMember::Variables)
            }
            (Some(Place::Request | Place::Item), EXTENSIONS) => {
                Place::EnvelopeMember(EnvelopeMember::Extensions)
            }
            (Some(Place::Request | Place::Item), _) => {
                self.blame(&refusals::MEMBER);
                Place::Other
            }
            (Some(Place::EnvelopeMember(EnvelopeMember::Variables)), _) => {
                self.variable = Some(name);
                Place::Variable
            }
            (Some(Place::EnvelopeMember(EnvelopeMember::Extensions)), b"persistedQuery") => {
                Place::Persisted
            }
            (Some(Place::Persisted), b"sha256Hash") => Place::Hash,
            _ => Place::Other,
        };
    }

    fn string(&mut self, text: Text<'t>) {
        self.value(&Came::Text(text));
    }

    fn number(&mut self, number: Written<'t>) {
        self.value(&Came::Number(number.written));
    }

    fn word(&mut self, word: Word) {
        self.value(match word {
            Word::Null => &Came::Null,
            Word::True | Word::False => &Came::Boolean,
        });
    }

    fn empty(&mut self, kind: Kind) {
        self.value(match kind {
            Kind::Object => &Came::Object,
            Kind::Array => &Came::Array,
        });
    }

    fn begins(&mut self, kind: Kind) -> Result<usize, Fault> {
        let place = self.value(match kind {
            Kind::Object => &Came::Object,
            Kind::Array => &Came::Array,
        });
        // What is within a variable is none.
        let place = match place {
            Place::Variable | Place::Hash => Place::Other,
            place => place,
        };
        self.place = place;
        self.open.push(place);
        Ok(0)
    }

    fn ends(&mut self, _: usize, _: usize, _: Kind) {
        self.open.pop();
        self.place = self.open.last().copied().unwrap_or(Place::Other);
    }
}
