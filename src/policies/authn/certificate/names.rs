//! The names by which a certificate is known.

use std::borrow::Cow;

use portcullis_document::{Fields, Node, Problems, Quoted};
use portcullis_wire::xfcc::is_sha256;

use super::source::{Asked, Certificate};
use super::spiffe::SpiffeMatcher;

/// What a certificate has to be called: at least one of these is asked, and all that are must fit.
#[derive(Debug, Default)]
pub(super) struct Names {
    spiffe: Option<SpiffeMatcher>,
    uri: Option<String>,
    dns: Option<String>,
    subject: Option<String>,
    /// In lower case.
    sha256: Option<String>,
}

/// The longest name in a document, in bytes.
const LONGEST: usize = 2048;

impl Names {
    /// Reads `spiffe`, `uri`, `dns`, `subject` and `sha256`.
    pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        let spiffe = optional("spiffe", fields, problems, SpiffeMatcher::read);
        let uri = optional("uri", fields, problems, |node, problems| {
            read_text(node, LONGEST, problems)
        });
        let dns = optional("dns", fields, problems, read_dns_name);
        let subject = optional("subject", fields, problems, |node, problems| {
            read_text(node, LONGEST, problems)
        });
        let sha256 = optional("sha256", fields, problems, read_digest);
        let (spiffe, uri, dns) = (spiffe?, uri?, dns?);
        let (subject, sha256) = (subject?, sha256?);
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
        Some(Self {
            spiffe,
            uri,
            dns,
            subject,
            sha256,
        })
    }

    /// What of a certificate it takes to tell whether it is called so.
    pub(super) fn asks(&self, asked: &mut Asked) {
        asked.uri |= self.spiffe.is_some() || self.uri.is_some();
        asked.dns |= self.dns.is_some();
        asked.subject |= self.subject.is_some();
        asked.sha256 |= self.sha256.is_some();
    }

    /// The first of the names, as the certificate has it, if it has all of them.
    pub(super) fn fit<'c>(&'c self, certificate: &'c Certificate<'_>) -> Option<&'c str> {
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
        spiffe.or(uri).or(host).or(subject).or(digest)
    }

    /// How many bytes of memory they take beside their own.
    pub(super) fn memory(&self) -> usize {
        let texts = [&self.uri, &self.dns, &self.subject, &self.sha256];
        let texts = texts.into_iter().flatten().map(String::len);
        let spiffe = self.spiffe.as_ref().map_or(0, SpiffeMatcher::memory);
        texts.fold(spiffe, usize::saturating_add)
    }
}

/// A name of a certificate that is asked, if it is: none if it is not there.
fn one<'c>(
    wanted: Option<&'c str>,
    find: impl FnOnce(&'c str) -> Option<&'c str>,
) -> Option<Option<&'c str>> {
    match wanted {
        None => Some(None),
        Some(wanted) => find(wanted).map(Some),
    }
}

/// A member that may be absent.
pub(super) fn optional<T>(
    name: &'static str,
    fields: &mut Fields<'_>,
    problems: &mut Problems,
    read: impl FnOnce(&Node<'_>, &mut Problems) -> Option<T>,
) -> Option<Option<T>> {
    fields.or_default(name, None, problems, |node, problems| {
        read(node, problems).map(Some)
    })
}

/// A text that can stand in a header field and in a record.
pub(super) fn read_text(
    node: &Node<'_>,
    longest: usize,
    problems: &mut Problems,
) -> Option<String> {
    let text = node.non_empty(problems)?;
    let plain = text.trim() == text && !text.chars().any(char::is_control);
    if !plain || text.len() > longest {
        node.report(
            problems,
            format_args!(
                "must have at most {longest} bytes, no control characters, and no blanks at its ends"
            ),
        );
        return None;
    }
    Some(text.to_owned())
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
