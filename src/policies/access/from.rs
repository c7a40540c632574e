//! `from`: for whom a rule is.

use std::net::IpAddr;
use std::rc::Rc;

use portcullis_document::{Node, Problems};
use portcullis_exchange::geo::{Asn, Country, Located};
use portcullis_exchange::host::Host;
use portcullis_exchange::principal::CredentialKind;
use portcullis_wire::effort::Effort;
use portcullis_wire::json::Json;
use portcullis_wire::networks::NetworkSet;

use super::caller;
use super::decision::{Fault, Truth};
use super::group::{GroupField, GroupReader};
use super::request::CallerIdentity;
use super::rule::{AsnRange, Values};
use super::texts::{TextKind, Texts};
use crate::networks::{Membership, NetworkList, read_addresses};

/// The fields of a group of `from`.
pub(super) const FIELDS: [GroupField; 13] = [
    GroupField::new("clients", "not_clients", read_clients),
    GroupField::new("subjects", "not_subjects", read_subjects),
    GroupField::new("issuers", "not_issuers", read_issuers),
    GroupField::new("credentials", "not_credentials", read_credentials),
    GroupField::new("authorities", "not_authorities", read_authorities),
    GroupField::new("roles", "not_roles", read_roles),
    GroupField::new("scopes", "not_scopes", read_scopes),
    GroupField::new("certificates", "not_certificates", read_certificates),
    GroupField::new("addresses", "not_addresses", read_written_addresses),
    GroupField::new("networks", "not_networks", read_networks),
    GroupField::new("countries", "not_countries", read_countries),
    GroupField::new("asns", "not_asns", read_asns),
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
    Texts::read(node, TextKind::Name, reader.problems).map(Values::Clients)
}

fn read_subjects(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    Texts::read(node, TextKind::Name, reader.problems).map(Values::Subjects)
}

fn read_issuers(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    Texts::read(node, TextKind::Name, reader.problems).map(Values::Issuers)
}

fn read_roles(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    Texts::read(node, TextKind::Name, reader.problems).map(Values::Roles)
}

fn read_scopes(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    Texts::read(node, TextKind::Name, reader.problems).map(Values::Scopes)
}

fn read_certificates(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    Texts::read(node, TextKind::Certificate, reader.problems).map(Values::Certificates)
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

fn read_written_addresses(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    read_addresses(node, reader.problems).map(Values::Addresses)
}

fn read_networks(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    let known = reader.places.networks;
    let lists = node.list(reader.problems, |item, problems| {
        known.read_name(item, problems)
    });
    lists.map(Values::Networks)
}

fn read_countries(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    let geo = reader.places.geo;
    if !geo.has_country() {
        node.report(
            reader.problems,
            "it is not known which field names the country: say so in `geo`",
        );
        return None;
    }
    let countries = node.list(reader.problems, Country::read)?;
    Some(Values::Countries(Rc::clone(geo), countries))
}

fn read_asns(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    let geo = reader.places.geo;
    if !geo.has_asn() {
        node.report(
            reader.problems,
            "it is not known which field names the autonomous system: say so in `geo`",
        );
        return None;
    }
    let systems = node.list(reader.problems, read_asn_range)?;
    Some(Values::Asns(Rc::clone(geo), systems))
}

/// Reads `64512`, or `{"minimum": 64512, "maximum": 65534}`.
fn read_asn_range(node: &Node<'_>, problems: &mut Problems) -> Option<AsnRange> {
    if let Json::Number(_) = node.json() {
        let one = Asn::read(node, problems)?;
        return Some(AsnRange {
            first: one,
            last: one,
        });
    }
    let mut fields = node.fields_or(problems, "a number, or an object")?;
    let mut end = |name| {
        let node = fields.required(name, problems)?;
        Asn::read(&node, problems)
    };
    let (first, last) = (end("minimum"), end("maximum"));
    fields.deny_unknown(problems);
    let (first, last) = (first?, last?);
    if first > last {
        node.report(problems, "ends before it begins");
        return None;
    }
    Some(AsnRange { first, last })
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
    if let Some((field, texts)) = values.texts() {
        return caller::has(principal, field, texts, effort);
    }
    match values {
        Values::Credentials(kinds) => Truth::of(kinds.contains(&principal.kind)),
        Values::Authorities(names) => {
            Truth::of(names.iter().any(|name| **name == *principal.authority))
        }
        Values::Authenticated(expected) => Truth::of(*expected),
        // These are compared above, or are no values of a credential.
        Values::Clients(_)
        | Values::Subjects(_)
        | Values::Issuers(_)
        | Values::Roles(_)
        | Values::Scopes(_)
        | Values::Certificates(_)
        | Values::Addresses(_)
        | Values::Networks(_)
        | Values::Countries(..)
        | Values::Asns(..)
        | Values::Hosts(_)
        | Values::Methods(_)
        | Values::Paths(_)
        | Values::Operations(_)
        | Values::Versions(_)
        | Values::Graphql(_) => Truth::Unknown(Fault::Kind),
    }
}

/// Whether an address is one of these.
pub(super) fn is_address(addresses: &NetworkSet, client: Option<IpAddr>) -> Truth {
    match client {
        Some(client) => Truth::of(addresses.contains(client)),
        None => Truth::Unknown(Fault::Address),
    }
}

/// Whether an address is in one of these lists. One that has it settles it, whether or not another is there.
pub(super) fn is_in_networks(
    lists: &[Rc<NetworkList>],
    client: Option<IpAddr>,
    host: &dyn Host,
    effort: &Effort,
) -> Truth {
    let Some(client) = client else {
        return Truth::Unknown(Fault::Address);
    };
    if effort.spend(lists.len() as u64).is_err() {
        return Truth::Unknown(Fault::Effort);
    }
    let now = host.monotonic();
    let mut so_far = Truth::No;
    for list in lists {
        match list.contains(client, now) {
            Membership::In => return Truth::Yes,
            Membership::Out => {}
            Membership::Unknown => so_far = Truth::Unknown(Fault::List),
        }
    }
    so_far
}

/// Whether a request comes from where that holds.
pub(super) fn is_located<T>(place: Located<T>, holds: impl FnOnce(T) -> bool) -> Truth {
    match place {
        Located::At(place) => Truth::of(holds(place)),
        Located::Nowhere => Truth::No,
        Located::Unknown => Truth::Unknown(Fault::Place),
    }
}
