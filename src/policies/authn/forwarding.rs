//! What the service learns of an accepted credential.

use super::few::read_few;
use super::presented::Unwritable;
use crate::owned;
use portcullis_document::{Fields, Node, Problems, Quoted};
use portcullis_exchange::condition::ClaimPath;
use portcullis_exchange::exchange::{Edit, FilterStateKey};
use portcullis_wire::headers::{HeaderName, HeaderValue, are_alike};
use portcullis_wire::json::compact::{Compact, Value};

/// What becomes of the credential, and which header fields tell of it.
#[derive(Debug)]
pub(super) struct Forwarding {
    token: TokenFate,
    claims: Vec<ClaimHeader>,
    payload: Option<HeaderName>,
    exports: Vec<ClaimExport>,
}

/// What becomes of an accepted token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenFate {
    Stripped,
    Forwarded,
}

#[derive(Debug)]
struct ClaimHeader {
    name: HeaderName,
    claim: ClaimPath,
}

#[derive(Debug)]
struct ClaimExport {
    name: FilterStateKey,
    claim: ClaimPath,
}

impl Forwarding {
    /// Reads `forward`, `claim_to_headers`, `forward_payload_header` and `claim_to_filter_state`.
    pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        Self::read_with(read_payload, fields, problems)
    }

    /// The same of a kind of credential that has no payload.
    pub(super) fn read_without_payload(
        fields: &mut Fields<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        Self::read_with(|_, _| Some(None), fields, problems)
    }

    fn read_with(
        payload: fn(&mut Fields<'_>, &mut Problems) -> Option<Option<HeaderName>>,
        fields: &mut Fields<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let token = fields.or_default(
            "forward",
            TokenFate::Stripped,
            problems,
            |node, problems| {
                Some(if node.boolean(problems)? {
                    TokenFate::Forwarded
                } else {
                    TokenFate::Stripped
                })
            },
        );
        let claims = fields.or_default(
            "claim_to_headers",
            Vec::new(),
            problems,
            |node, problems| read_few(node, problems, ClaimHeader::read),
        );
        let payload = payload(fields, problems);
        let exports = fields.or_default(
            "claim_to_filter_state",
            Vec::new(),
            problems,
            |node, problems| read_few(node, problems, ClaimExport::read),
        );
        let forwarding = Self {
            token: token?,
            claims: claims?,
            payload: payload?,
            exports: exports?,
        };
        let names = forwarding.owned_headers();
        for (at, name) in names.iter().enumerate() {
            let mut before = names.iter().take(at);
            let bytes = name.as_str().as_bytes();
            let Some(alike) = before.find(|each| are_alike(each.as_str().as_bytes(), bytes)) else {
                continue;
            };
            let name = name.as_str();
            match alike.as_str() == name {
                true => problems.report(
                    fields.pointer(),
                    format_args!("two claims would go into the header {}", Quoted(name)),
                ),
                false => problems.report(
                    fields.pointer(),
                    format_args!(
                        "many services read the headers {} and {} as one; choose another name for one of them",
                        Quoted(alike.as_str()),
                        Quoted(name)
                    ),
                ),
            }
            return None;
        }
        Some(forwarding)
    }

    /// Whether the service gets the token itself.
    pub(super) fn forwards_token(&self) -> bool {
        self.token == TokenFate::Forwarded
    }

    /// The fields and exports that tell of an accepted credential. A claim that is absent or null
    /// leaves its field absent.
    pub(super) fn edits(&self, claims: &Compact) -> Result<Vec<Edit>, Unwritable> {
        let mut edits = Vec::with_capacity(self.claims.len());
        for ClaimHeader { name, claim } in &self.claims {
            if let Some(value) = claim.value(claims).filter(is_there) {
                edits.push(Edit::Set(name.clone(), text(value)?));
            }
        }
        for ClaimExport { name, claim } in &self.exports {
            if let Some(value) = claim.value(claims).filter(is_there) {
                edits.push(Edit::FilterState(name.clone(), text(value)?));
            }
        }
        Ok(edits)
    }

    /// The field that is to get the payload of a token, for kinds that have one.
    pub(super) fn payload(&self) -> Option<&HeaderName> {
        self.payload.as_ref()
    }

    /// The names of what is left for other filters.
    pub(super) fn exports(&self) -> Vec<FilterStateKey> {
        self.exports
            .iter()
            .map(|export| export.name.clone())
            .collect()
    }

    /// The fields that nobody but the filter may set.
    pub(super) fn owned_headers(&self) -> Vec<HeaderName> {
        let claims = self.claims.iter().map(|header| header.name.clone());
        claims.chain(self.payload.clone()).collect()
    }
}

fn read_payload(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Option<HeaderName>> {
    fields.or_default(
        "forward_payload_header",
        None,
        problems,
        |node, problems| owned::read_header(node, problems).map(Some),
    )
}

impl ClaimHeader {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields
            .required("header_name", problems)
            .and_then(|node| owned::read_header(&node, problems));
        let claim = fields
            .required("claim_name", problems)
            .and_then(|node| ClaimPath::read(&node, problems));
        fields.deny_unknown(problems);
        Some(Self {
            name: name?,
            claim: claim?,
        })
    }
}

impl ClaimExport {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields
            .required("key", problems)
            .and_then(|node| owned::read_property(&node, problems));
        let claim = fields
            .required("claim_name", problems)
            .and_then(|node| ClaimPath::read(&node, problems));
        fields.deny_unknown(problems);
        Some(Self {
            name: name?,
            claim: claim?,
        })
    }
}

fn is_there(claim: &Value<'_>) -> bool {
    !matches!(claim, Value::Null)
}

/// Text as it is; anything else as JSON. A string that could end its line, or that would lose
/// blanks on the way, is refused: its owner may have chosen it for that.
fn text(value: Value<'_>) -> Result<HeaderValue, Unwritable> {
    match value.as_str() {
        Some(text) => HeaderValue::parse(text.as_bytes()),
        None => HeaderValue::parse(value.to_string().as_bytes()),
    }
    .map_err(|_| Unwritable)
}
