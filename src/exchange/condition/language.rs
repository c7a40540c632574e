//! The languages of those who decide by more than one part of a request.

use super::operand::VersionFact;
use super::{ClaimPath, Language, Operand, OperandField, OtherKinds, Scalars};
use portcullis_document::{Node, Problems};
use portcullis_wire::headers::HeaderName;

const CLAIM: OperandField = OperandField::new("claim", Operand::CLAIM, read_claim);
const HEADER: OperandField = OperandField::new("header", Operand::HEADER, read_header);
const QUERY: OperandField = OperandField::new("query", Operand::QUERY, |node, problems| {
    let name = node.non_empty(problems)?;
    Some(Operand::Query(name.into()))
});
const PATH_VARIABLE: OperandField =
    OperandField::new("path_variable", Operand::PATH_VARIABLE, |node, problems| {
        let name = node.non_empty(problems)?;
        Some(Operand::PathVariable(name.into()))
    });
/// `name` or `state` of the version of the API that the request is for.
pub const VERSION: OperandField =
    OperandField::new("version", Operand::VERSION, |node, problems| {
        let facts = [("name", VersionFact::Name), ("state", VersionFact::State)];
        node.choice(problems, &facts).map(Operand::Version)
    });
const BODY: OperandField = OperandField::new("body", Operand::BODY, |node, problems| {
    ClaimPath::read_pointer(node, problems).map(Operand::Body)
});

/// Conditions on a caller and the head of their request: `require` of all kinds of credentials.
pub const REQUIRE: Language = Language {
    operands: &[CLAIM, HEADER, QUERY, PATH_VARIABLE],
    parts: &[CLAIM, HEADER, QUERY, PATH_VARIABLE],
    elsewhere: &[
        (
            "body",
            "has not come when credentials are judged; conditions on it stand in `when` of a rule of `access`",
        ),
        (
            "version",
            "is nothing of the caller; conditions on it stand in `when` of a rule of `access`",
        ),
    ],
    other_kinds: OtherKinds::Fail,
};

/// Conditions on a caller and their request: `when` of the rules of `access`.
pub const ACCESS: Language = Language {
    operands: &[CLAIM, HEADER, QUERY, PATH_VARIABLE, BODY, VERSION],
    parts: &[CLAIM, HEADER, QUERY, PATH_VARIABLE, BODY],
    elsewhere: &[(
        "authenticated",
        "is a field of `from`: {\"from\": {\"authenticated\": true}}",
    )],
    other_kinds: OtherKinds::Undecidable,
};

/// No conditions, but tests of texts alone.
pub(super) const TEXTS: Language = Language {
    operands: &[],
    parts: &[],
    elsewhere: &[],
    other_kinds: OtherKinds::Fail,
};

fn read_claim(node: &Node<'_>, problems: &mut Problems) -> Option<Operand> {
    let path = ClaimPath::read(node, problems)?;
    Some(Operand::Claim(path, Scalars::Typed))
}

fn read_header(node: &Node<'_>, problems: &mut Problems) -> Option<Operand> {
    let name = read_header_name(node, problems)?;
    if name.as_str() == "host" {
        node.report(
            problems,
            "is never there: the proxy keeps the host apart; routes are chosen by `hosts`",
        );
        return None;
    }
    Some(Operand::Header(name))
}

/// Reads the name of a header field.
pub fn read_header_name(node: &Node<'_>, problems: &mut Problems) -> Option<HeaderName> {
    let name = HeaderName::parse(node.text(problems)?);
    name.map_err(|error| node.report(problems, error)).ok()
}
