//! Documents that are known beforehand, by the SHA-256 of their text.

use hmac_sha256::Hash;
use portcullis_document::{Node, Problems};
use portcullis_exchange::graphql::GraphqlField;
use portcullis_formats::graphql::{OPERATION_KINDS, OperationKind};
use portcullis_wire::budget::Share;
use portcullis_wire::sort::sort;
use portcullis_wire::xfcc::is_sha256;

/// A SHA-256.
pub(super) type DocumentHash = [u8; 32];

/// The documents that are known.
#[derive(Debug)]
pub(super) struct Persisted {
    /// Whether no others pass.
    pub(super) required: bool,
    /// In order.
    documents: Vec<(DocumentHash, KnownDocument)>,
}

/// What is known of a document.
#[derive(Debug)]
pub(super) enum KnownDocument {
    Text(Box<str>),
    /// What it asks for, as the document in force says, and what that costs.
    Declared {
        fields: Vec<(OperationKind, Box<str>)>,
        cost: Option<u64>,
    },
}

/// What each document takes beside its text.
const EACH: usize = 96;

impl Persisted {
    pub(super) fn read(node: &Node<'_>, has_costs: bool, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let required = fields.or_default("required", true, problems, Node::boolean);
        let documents = fields.required("documents", problems);
        let documents = documents.and_then(|node| {
            let read =
                |item: &Node<'_>, problems: &mut Problems| read_document(item, has_costs, problems);
            let mut documents = node.list(problems, read)?;
            sort(&mut documents, |one, other| one.0.cmp(&other.0));
            let is_twice = documents
                .windows(2)
                .any(|two| matches!(two, [one, other] if one.0 == other.0));
            if is_twice {
                node.report(problems, "has one document twice; remove one of them");
            }
            let bytes = documents.iter().map(|(_, document)| document.size());
            let bytes = bytes.fold(0, usize::saturating_add);
            problems.account(node.pointer(), Share::Documents, bytes);
            (!is_twice).then_some(documents)
        });
        fields.deny_unknown(problems);
        Some(Self {
            required: required?,
            documents: documents?,
        })
    }

    /// The document of that digest, if it is known.
    pub(super) fn find(&self, digest: &DocumentHash) -> Option<&KnownDocument> {
        let found = self.documents.binary_search_by(|each| each.0.cmp(digest));
        let found = found.ok().and_then(|found| self.documents.get(found));
        found.map(|(_, document)| document)
    }

    /// The texts that are known.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.documents
            .iter()
            .filter_map(|(_, document)| match document {
                KnownDocument::Text(text) => Some(&**text),
                KnownDocument::Declared { .. } => None,
            })
    }
}

impl KnownDocument {
    fn size(&self) -> usize {
        let own = match self {
            KnownDocument::Text(text) => text.len(),
            KnownDocument::Declared { fields, .. } => {
                let names = fields
                    .iter()
                    .map(|(_, name)| name.len().saturating_add(EACH));
                names.fold(0, usize::saturating_add)
            }
        };
        own.saturating_add(EACH)
    }
}

/// A text, or the SHA-256 of one with what it asks for.
fn read_document(
    node: &Node<'_>,
    has_costs: bool,
    problems: &mut Problems,
) -> Option<(DocumentHash, KnownDocument)> {
    let mut fields = node.fields(problems)?;
    let text = fields.optional("text");
    let digest = fields.optional("sha256");
    let asked = fields.optional("fields");
    let cost = fields.or_default("cost", None, problems, |node, problems| {
        node.integer(problems, 0..=super::read::MOST_COST).map(Some)
    });
    let read = match (text, digest) {
        (Some(text), None) => {
            let declared = [("fields", asked), ("cost", fields.optional("cost"))];
            if let Some((name, _)) = declared.iter().find(|(_, node)| node.is_some()) {
                node.report(
                    problems,
                    format_args!("has a `text`, which says what it asks for: leave `{name}` out"),
                );
                return None;
            }
            let text = text.non_empty(problems)?;
            let document = KnownDocument::Text(text.into());
            Some((Hash::hash(text.as_bytes()), document))
        }
        (None, Some(digest)) => {
            let hash = read_digest(&digest, problems);
            let asked = match asked {
                Some(asked) => asked.list(problems, read_field),
                None => {
                    fields.lacks(
                        &["fields"],
                        problems,
                        "needs `fields`, such as [\"Query.users\"]: what a document asks for cannot be told by its SHA-256",
                    );
                    None
                }
            };
            let cost = cost?;
            if has_costs && cost.is_none() {
                fields.lacks(
                    &["cost"],
                    problems,
                    "needs `cost`: what a document costs cannot be told by its SHA-256",
                );
                return None;
            }
            let fields = asked?;
            Some((
                hash?,
                KnownDocument::Declared {
                    fields,
                    cost: cost.or(Some(1)),
                },
            ))
        }
        _ => {
            fields.lacks(
                &["text", "sha256"],
                problems,
                "needs one of `text` and `sha256`, and not both",
            );
            None
        }
    };
    fields.deny_unknown(problems);
    read
}

fn read_digest(node: &Node<'_>, problems: &mut Problems) -> Option<DocumentHash> {
    let digest = digest(node.text(problems)?.as_bytes());
    if digest.is_none() {
        node.report(
            problems,
            "must be the SHA-256 of a document: 64 hexadecimal digits",
        );
    }
    digest
}

/// Reads a digest in hexadecimal digits.
pub(super) fn digest(text: &[u8]) -> Option<DocumentHash> {
    let text = std::str::from_utf8(text)
        .ok()
        .filter(|text| is_sha256(text))?;
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(digest)
}

fn read_field(node: &Node<'_>, problems: &mut Problems) -> Option<(OperationKind, Box<str>)> {
    let written = node.non_empty(problems)?;
    let types = OPERATION_KINDS.map(OperationKind::type_name);
    let is_one = GraphqlField::parse(written, &types).is_some() && !written.ends_with('*');
    let kind = OPERATION_KINDS.into_iter().find(|kind| {
        let rest = written.strip_prefix(kind.type_name());
        rest.is_some_and(|rest| rest.starts_with('.'))
    });
    match (kind, written.split_once('.')) {
        (Some(kind), Some((_, name))) if is_one => Some((kind, name.into())),
        _ => {
            node.report(
                problems,
                "must be a field of an operation, such as \"Query.users\" or \"Mutation.deleteUser\"",
            );
            None
        }
    }
}
