//! Reads keys from the document.

use std::rc::Rc;

use super::{Key, KeyPart, NetworkChoice};
use crate::rate_limits::named::LimitNames;
use portcullis_document::{DidYouMean, Fields, Node, Problems, Quoted};
use portcullis_exchange::condition::ClaimPath;
use portcullis_exchange::route::{PathTemplate, read_header_name};
use portcullis_wire::json::Json;

/// The parts that need no more words.
const WORDS: [&str; 8] = [
    "client_address",
    "subject",
    "claimed_subject",
    "country",
    "asn",
    "method",
    "route",
    "version",
];

/// The parts that say more; exactly one of them stands in an object.
const FIELDS: [&str; 7] = [
    "client_address",
    "network",
    "claim",
    "header",
    "query_parameter",
    "path_template",
    "constant",
];

impl Key {
    /// Reads `key: [ … ]`. An empty list is a key that all requests share.
    pub fn read(node: &Node<'_>, named: &LimitNames, problems: &mut Problems) -> Option<Self> {
        let items = node.items(problems)?;
        let parts: Vec<Option<KeyPart>> = items
            .iter()
            .map(|item| KeyPart::read(item, named, problems))
            .collect();
        let parts = parts.into_iter().collect::<Option<_>>()?;
        Some(Self { parts })
    }
}

impl KeyPart {
    fn read(node: &Node<'_>, named: &LimitNames, problems: &mut Problems) -> Option<Self> {
        if let Json::Object(_) = node.json() {
            let mut fields = node.fields(problems)?;
            let part = Self::read_object(&mut fields, named, problems);
            fields.deny_unknown(problems);
            return part;
        }
        let word = node.text(problems)?;
        Some(match word {
            "client_address" => KeyPart::ClientAddress {
                ipv4_prefix: 32,
                ipv6_prefix: 64,
            },
            "subject" => KeyPart::Subject,
            "claimed_subject" if named.providers.names().next().is_none() => {
                node.report(
                    problems,
                    "there is no token whose subject could be claimed: the document has no `providers`",
                );
                return None;
            }
            "claimed_subject" => KeyPart::ClaimedSubject,
            "country" if !named.geo.has_country() => {
                node.report(
                    problems,
                    "it is not known which field names the country: say so in `geo`",
                );
                return None;
            }
            "country" => KeyPart::Country(Rc::clone(&named.geo)),
            "asn" if !named.geo.has_asn() => {
                node.report(
                    problems,
                    "it is not known which field names the autonomous system: say so in `geo`",
                );
                return None;
            }
            "asn" => KeyPart::Asn(Rc::clone(&named.geo)),
            "method" => KeyPart::Method,
            "route" => KeyPart::Route,
            "version" if !named.has_versions => {
                node.report(
                    problems,
                    "no request has a version: say in `versions` of the document, or of an API, where requests name one",
                );
                return None;
            }
            "version" => KeyPart::Version,
            _ => {
                let near = match word {
                    "remote_ip" | "remote_address" | "source_ip" | "client_ip" | "ip" => {
                        "; did you mean \"client_address\"?".to_owned()
                    }
                    _ => DidYouMean(word, WORDS.into_iter()).to_string(),
                };
                let words = WORDS.map(|word| Quoted(word).to_string()).join(", ");
                let fields = FIELDS.map(|field| Quoted(field).to_string()).join(", ");
                node.report(
                    problems,
                    format_args!("must be one of {words}, or an object with one of {fields}{near}"),
                );
                return None;
            }
        })
    }

    fn read_object(
        fields: &mut Fields<'_>,
        named: &LimitNames,
        problems: &mut Problems,
    ) -> Option<Self> {
        let written = FIELDS.map(|name| fields.optional(name).map(|node| (name, node)));
        let mut written = written.into_iter().flatten();
        let Some((name, node)) = written.next() else {
            let names = FIELDS.map(|field| Quoted(field).to_string()).join(", ");
            fields.lacks(&FIELDS, problems, format_args!("needs one of {names}"));
            return None;
        };
        if let Some((_, second)) = written.next() {
            second.report(
                problems,
                format_args!("cannot stand beside `{name}`; make it a part of its own"),
            );
            return None;
        }
        match name {
            "client_address" => read_networks(&node, problems),
            "network" => {
                NetworkChoice::read(&node, &named.networks, problems).map(KeyPart::Network)
            }
            "claim" => {
                let path = ClaimPath::read(&node, problems)?;
                Some(KeyPart::Claim(path, node.text(problems)?.to_owned()))
            }
            "header" => read_header_name(&node, problems).map(KeyPart::Header),
            "query_parameter" => Some(KeyPart::QueryParameter(
                node.non_empty(problems)?.to_owned(),
            )),
            "path_template" => node
                .list(problems, PathTemplate::read)
                .map(KeyPart::PathTemplate),
            _ => Some(KeyPart::Constant(node.non_empty(problems)?.to_owned())),
        }
    }
}

fn read_networks(node: &Node<'_>, problems: &mut Problems) -> Option<KeyPart> {
    let mut fields = node.fields(problems)?;
    let ipv4_prefix = fields.or_default("v4_prefix_mask_len", 32, problems, |node, problems| {
        node.integer(problems, 0..=32)
    });
    let ipv6_prefix = fields.or_default("v6_prefix_mask_len", 64, problems, |node, problems| {
        node.integer(problems, 0..=128)
    });
    fields.deny_unknown(problems);
    Some(KeyPart::ClientAddress {
        ipv4_prefix: u32::try_from(ipv4_prefix?).ok()?,
        ipv6_prefix: u32::try_from(ipv6_prefix?).ok()?,
    })
}
