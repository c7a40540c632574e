//! `from`: for whom a rule is.

use std::net::IpAddr;

use portcullis_document::{Node, Problems};
use portcullis_exchange::principal::CredentialKind;
use portcullis_wire::address::Range;
use portcullis_wire::effort::Effort;

use super::caller;
use super::decision::{Fault, Truth};
use super::group::{GroupField, GroupReader};
use super::request::CallerIdentity;
use super::rule::Values;
use super::texts::Texts;

/// The fields of a group of `from`.
pub(super) const FIELDS: [GroupField; 10] = [
    GroupField::new("clients", "not_clients", read_clients),
    GroupField::new("subjects", "not_subjects", read_subjects),
    GroupField::new("issuers", "not_issuers", read_issuers),
    GroupField::new("credentials", "not_credentials", read_credentials),
    GroupField::new("authorities", "not_authorities", read_authorities),
    GroupField::new("roles", "not_roles", read_roles),
    GroupField::new("scopes", "not_scopes", read_scopes),
    GroupField::new("certificates", "not_certificates", read_certificates),
    GroupField::new("addresses", "not_addresses", read_addresses),
    GroupField::alone("authenticated", read_authenticated),
];

const KINDS: [(&str, CredentialKind); 5] = [
    ("jwt", CredentialKind::Jwt),
    ("api_key", CredentialKind::ApiKey),
    ("certificate", CredentialKind::Certificate),
    ("introspection", CredentialKind::Introspection),
    ("signed_request", CredentialKind::SignedRequest),
];

fn read_clients(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    Texts::read(node, reader.problems).map(Values::Clients)
}

fn read_subjects(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    Texts::read(node, reader.problems).map(Values::Subjects)
}

fn read_issuers(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    Texts::read(node, reader.problems).map(Values::Issuers)
}

fn read_roles(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    Texts::read(node, reader.problems).map(Values::Roles)
}

fn read_scopes(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    Texts::read(node, reader.problems).map(Values::Scopes)
}

fn read_certificates(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    Texts::read(node, reader.problems).map(Values::Certificates)
}

fn read_credentials(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    let problems = &mut *reader.problems;
    let kinds = node.list(problems, |item, problems| item.choice(problems, &KINDS));
    kinds.map(Values::Credentials)
}

fn read_authorities(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    let names = node.list(reader.problems, |item, problems| {
        item.non_empty(problems).map(Box::from)
    });
    names.map(Values::Authorities)
}

fn read_addresses(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    let ranges = node.list(reader.problems, read_range);
    ranges.map(Values::Addresses)
}

fn read_range(node: &Node<'_>, problems: &mut Problems) -> Option<Range> {
    let range = Range::parse(node.text(problems)?);
    if range.is_none() {
        node.report(
            problems,
            "must be an address, or a range such as \"10.0.0.0/8\" without bits behind its prefix",
        );
    }
    range
}

fn read_authenticated(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    node.boolean(reader.problems).map(Values::Authenticated)
}

/// Whether one of these values is the caller's.
pub(super) fn holds(values: &Values, caller: CallerIdentity<'_>, effort: &Effort) -> Truth {
    let principal = match (caller, values) {
        (CallerIdentity::KnownLater, _) => return Truth::Later,
        (CallerIdentity::Nobody, Values::Authenticated(expected)) => return Truth::of(!expected),
        // Of nobody nothing is known: no value is theirs.
        (CallerIdentity::Nobody, _) => return Truth::No,
        (CallerIdentity::Known(principal), _) => principal,
    };
    match values {
        Values::Clients(texts) => caller::client_is_one_of(principal, texts, effort),
        Values::Subjects(texts) => caller::subject_is_one_of(principal, texts, effort),
        Values::Issuers(texts) => caller::issuer_is_one_of(principal, texts, effort),
        Values::Roles(texts) => caller::has_a_role_of(principal, texts, effort),
        Values::Scopes(texts) => caller::has_a_scope_of(principal, texts, effort),
        Values::Credentials(kinds) => Truth::of(kinds.contains(&principal.kind)),
        Values::Authorities(names) => {
            Truth::of(names.iter().any(|name| **name == *principal.authority))
        }
        Values::Authenticated(expected) => Truth::of(*expected),
        // These are no values of a credential.
        Values::Certificates(_)
        | Values::Addresses(_)
        | Values::Hosts(_)
        | Values::Methods(_)
        | Values::Paths(_) => Truth::Unknown(Fault::Kind),
    }
}

/// Whether an address is in one of these ranges.
pub(super) fn is_in_ranges(ranges: &[Range], client: Option<IpAddr>, effort: &Effort) -> Truth {
    let Some(client) = client else {
        return Truth::Unknown(Fault::Address);
    };
    if effort.spend(ranges.len() as u64).is_err() {
        return Truth::Unknown(Fault::Effort);
    }
    Truth::of(ranges.iter().any(|range| range.contains(client)))
}
