//! Who is known by which certificate.

use std::borrow::Cow;

use portcullis_document::{Fields, Node, Problems, Quoted};
use portcullis_wire::json::compact::Compact;
use portcullis_wire::json::quoted;
use portcullis_wire::xfcc::is_sha256;

use super::source::{Asked, Certificate};
use super::spiffe::SpiffeMatcher;
use crate::authn::grants::read_grants;

/// One client: the names of its certificate, and what is known of it.
#[derive(Debug)]
pub(super) struct Client {
    spiffe: Option<SpiffeMatcher>,
    uri: Option<String>,
    dns: Option<String>,
    subject: Option<String>,
    /// In lower case.
    sha256: Option<String>,
    facts: Facts,
}

/// What is known of a client.
#[derive(Debug)]
enum Facts {
    /// All of it, by the entry alone.
    Whole(Compact),
    /// The members of an object but for the client's name, which its certificate says.
    Named(String),
}

/// How deep attributes are nested at most, the object around them included.
const MAX_DEPTH: usize = 16;

impl Client {
    /// Reads an entry of `clients`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.object(
            problems,
            "{\"spiffe\": {\"exact\": \"…\"}, \"client\": \"…\"}",
        )?;
        let spiffe = optional("spiffe", &mut fields, problems, SpiffeMatcher::read);
        let uri = optional("uri", &mut fields, problems, read_text);
        let dns = optional("dns", &mut fields, problems, read_dns_name);
        let subject = optional("subject", &mut fields, problems, read_text);
        let sha256 = optional("sha256", &mut fields, problems, read_digest);
        let client = optional("client", &mut fields, problems, read_text);
        let grants = read_grants(&mut fields, problems);
        let (spiffe, uri, dns) = (spiffe?, uri?, dns?);
        let (subject, sha256, client) = (subject?, sha256?, client?);
        if spiffe.is_none()
            && uri.is_none()
            && dns.is_none()
            && subject.is_none()
            && sha256.is_none()
        {
            let names = ["spiffe", "uri", "dns", "subject", "sha256"];
            let listed = names.map(|name| Quoted(name).to_string()).join(", ");
            fields.lacks(
                &names,
                problems,
                format_args!("would be every certificate: needs one of {listed}"),
            );
            return None;
        }
        fields.deny_unknown(problems);
        let rest = grants?;
        let facts = match client {
            None => Facts::Named(rest),
            Some(client) => match facts_of(&client, &rest) {
                Some(facts) => Facts::Whole(facts),
                None => {
                    node.report(problems, "its attributes are nested too deeply");
                    return None;
                }
            },
        };
        Some(Self {
            spiffe,
            uri,
            dns,
            subject,
            sha256,
            facts,
        })
    }

    /// What of a certificate it takes to tell whether it is this client's.
    pub(super) fn asks(&self, asked: &mut Asked) {
        asked.uri |= self.spiffe.is_some() || self.uri.is_some();
        asked.dns |= self.dns.is_some();
        asked.subject |= self.subject.is_some();
        asked.sha256 |= self.sha256.is_some();
    }

    /// What is known of the client, if the certificate has all the names of the entry.
    pub(super) fn facts(&self, certificate: &Certificate<'_>) -> Option<Compact> {
        let Certificate {
            subject,
            uris,
            dns,
            sha256,
        } = certificate;
        let spiffe = match &self.spiffe {
            None => None,
            // The SPIFFE X.509-SVID standard, 2: a certificate with another URI beside it is none.
            Some(matcher) => match &uris[..] {
                [only] if matcher.matches(only) => Some(&**only),
                _ => return None,
            },
        };
        let uri = one(self.uri.as_deref(), |name| {
            uris.iter().find(|uri| **uri == *name).map(Cow::as_ref)
        })?;
        let host = one(self.dns.as_deref(), |name| {
            let mut names = dns.iter();
            let found = names.find(|dns| dns.eq_ignore_ascii_case(name));
            found.map(|_| name)
        })?;
        let subject = one(self.subject.as_deref(), |name| {
            subject.as_deref().filter(|subject| *subject == name)
        })?;
        let digest = one(self.sha256.as_deref(), |name| {
            let is_it = sha256.as_ref()?.eq_ignore_ascii_case(name);
            is_it.then_some(name)
        })?;
        match &self.facts {
            Facts::Whole(facts) => Some(facts.clone()),
            Facts::Named(rest) => {
                let name = spiffe.or(uri).or(host).or(subject).or(digest)?;
                facts_of(name, rest)
            }
        }
    }

    /// How many bytes of memory it takes, roughly.
    pub(super) fn memory(&self) -> usize {
        let texts = [&self.uri, &self.dns, &self.subject, &self.sha256];
        let texts = texts.into_iter().flatten().map(String::len);
        let facts = match &self.facts {
            Facts::Whole(facts) => facts.size(),
            Facts::Named(rest) => rest.len(),
        };
        let spiffe = self.spiffe.as_ref().map_or(0, SpiffeMatcher::memory);
        let own = size_of::<Self>()
            .saturating_add(facts)
            .saturating_add(spiffe);
        texts.fold(own, usize::saturating_add)
    }
}

/// A name of a certificate that an entry wants, if it wants one: none if it is not there.
fn one<'c>(
    wanted: Option<&'c str>,
    find: impl FnOnce(&'c str) -> Option<&'c str>,
) -> Option<Option<&'c str>> {
    match wanted {
        None => Some(None),
        Some(wanted) => find(wanted).map(Some),
    }
}

/// What is known of a client: its name, under the names that tokens have for it, and `rest`, each member of
/// it behind a comma.
fn facts_of(client: &str, rest: &str) -> Option<Compact> {
    let client = quoted(client);
    let text = format!("{{\"sub\":{client},\"client\":{client}{rest}}}");
    Compact::parse(text.as_bytes(), MAX_DEPTH)
}

fn optional<T>(
    name: &'static str,
    fields: &mut Fields<'_>,
    problems: &mut Problems,
    read: impl FnOnce(&Node<'_>, &mut Problems) -> Option<T>,
) -> Option<Option<T>> {
    fields.or_default(name, None, problems, |node, problems| {
        read(node, problems).map(Some)
    })
}

fn read_text(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    node.non_empty(problems).map(str::to_owned)
}

fn read_dns_name(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let name = node.non_empty(problems)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if !name.bytes().all(plain) {
        node.report(
            problems,
            "must be one host name, as it stands in the certificate: letters, digits, `-`, `.` and `_`",
        );
        return None;
    }
    Some(name.to_owned())
}

fn read_digest(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let written = node.non_empty(problems)?;
    let digest: String = written.chars().filter(|c| *c != ':').collect();
    if !is_sha256(&digest) {
        node.report(
            problems,
            "must be the SHA-256 of the certificate in DER: 64 hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256` prints them",
        );
        return None;
    }
    Some(digest.to_ascii_lowercase())
}
