//! Revocation from outside: lists of what is no longer accepted, whatever else it says. They stand in the
//! document or are fetched, and every kind of credential asks those that its authority names.
//!
//! INVARIANT: where a list is named, no credential is accepted that it has not been asked for since it last
//! changed. One that is not there refuses, unless the document says otherwise.

mod entry;
mod list;
mod section;
mod table;

use std::rc::Rc;

use portcullis_document::{Fields, LeftOut, Problems, Quoted};
use portcullis_exchange::host::Host;
use portcullis_exchange::meter::Event;
use portcullis_exchange::refusal::{Detail, Fact};

use self::list::{InForce, RevocationList};
use self::table::{RevocationTable, RevokedName, Since};
use super::few::read_few;
use super::left_out::HAS_CREDENTIALS;

pub use self::section::RevocationLists;

/// What of an accepted credential may stand in a list.
#[derive(Debug, Default)]
pub(super) struct Revocable<'c> {
    /// `jti`.
    pub(super) token: Option<&'c str>,
    pub(super) subject: Option<&'c str>,
    pub(super) clients: [Option<&'c str>; 2],
    /// Whether it names a client by something that is no text: services may read the name out of that.
    pub(super) has_odd_client: bool,
    pub(super) signed_by: SignedBy<'c>,
    /// The id of an API key.
    pub(super) api_key: Option<&'c str>,
    /// The SHA-256 of a certificate, in hexadecimal digits of either case.
    pub(super) certificate: Option<&'c str>,
    pub(super) issued: Issued,
}

/// By which key a credential was signed that could be revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SignedBy<'c> {
    /// It has no signature: what is said of keys is not said of it.
    #[default]
    Nobody,
    /// It does not say.
    Unnamed,
    /// `kid` of a token.
    Key(&'c str),
}

/// When a credential was issued.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Issued {
    /// It is no token: what is said of issue times is not said of it.
    #[default]
    NoToken,
    /// The token does not say.
    Unsaid,
    /// In that second.
    At(f64),
}

/// Why a credential is not accepted by its lists; for the log.
#[derive(Debug)]
pub(super) enum RevocationObjection {
    /// It stands in one.
    Revoked(Detail),
    /// One is not there.
    Missing(Detail),
}

/// The lists that an authority names.
#[derive(Debug, Default)]
pub(super) struct UsedLists(Vec<Rc<RevocationList>>);

impl UsedLists {
    /// Reads `revocation_lists`; a list whose own block is wrong has been reported there, and is left out.
    pub(super) fn read(
        fields: &mut Fields<'_>,
        lists: &RevocationLists,
        problems: &mut Problems,
    ) -> Option<Self> {
        let Some(node) = fields.optional("revocation_lists") else {
            return Some(Self::default());
        };
        if !HAS_CREDENTIALS {
            node.report(problems, LeftOut::CREDENTIALS);
            return None;
        }
        let named = read_few(&node, problems, |item, problems| {
            lists.by_name.asked(item, problems)
        })?;
        let used: Vec<Rc<RevocationList>> = named.into_iter().flatten().collect();
        let mut rest = &used[..];
        while let Some((first, others)) = rest.split_first() {
            if others.iter().any(|other| Rc::ptr_eq(first, other)) {
                node.report(
                    problems,
                    format_args!("names {} twice", Quoted(&first.name)),
                );
                return None;
            }
            rest = others;
        }
        Some(Self(used))
    }

    pub(super) fn is_empty(&self) -> bool {
        !HAS_CREDENTIALS || self.0.is_empty()
    }

    /// A number that changes with each of the lists; none while one of them is not there, or too old, whatever
    /// the document says of that.
    pub(super) fn generation(&self, host: &dyn Host) -> Option<u64> {
        let now = host.monotonic();
        let mut sum = 0_u64;
        for list in &self.0 {
            let InForce::Known(_) = list.in_force(now) else {
                return None;
            };
            // Each of them only ever grows, so the sum is another one whichever has.
            sum = sum.wrapping_add(list.generation());
        }
        Some(sum)
    }

    /// Whether a list revokes keys that sign tokens.
    pub(super) fn name_signing_keys(&self, host: &dyn Host) -> bool {
        self.any(host, |table| table.has(RevokedName::SigningKey))
    }

    /// Whether a list revokes certificates by their hashes.
    pub(super) fn name_certificates(&self, host: &dyn Host) -> bool {
        self.any(host, |table| table.has(RevokedName::Certificate))
    }

    fn any(&self, host: &dyn Host, has: impl Fn(&RevocationTable) -> bool) -> bool {
        let now = host.monotonic();
        self.0.iter().any(|list| match list.in_force(now) {
            InForce::Known(table) | InForce::Allowed(Some(table)) => has(&table),
            InForce::Allowed(None) | InForce::Missing => false,
        })
    }

    /// Asks all of them.
    pub(super) fn check(
        &self,
        credential: &Revocable<'_>,
        host: &dyn Host,
    ) -> Result<(), RevocationObjection> {
        let now = host.monotonic();
        let mut missing = None;
        for list in &self.0 {
            let table = match list.in_force(now) {
                InForce::Known(table) => table,
                InForce::Allowed(last) => {
                    host.count(Event::RevocationsUnchecked.counter());
                    match last {
                        Some(table) => table,
                        None => continue,
                    }
                }
                // Another may say more.
                InForce::Missing => {
                    missing = missing.or(Some(list));
                    continue;
                }
            };
            if let Some((claim, fault)) = credential.listed(&table) {
                let detail = about(list).and("claim", Fact::Word(claim));
                let detail = detail.and("fault", Fact::Word(fault));
                return Err(RevocationObjection::Revoked(detail));
            }
        }
        match missing {
            Some(list) => Err(RevocationObjection::Missing(about(list))),
            None => Ok(()),
        }
    }
}

fn about(list: &RevocationList) -> Detail {
    let detail = Detail::within("/revocation_lists");
    detail.and("list", Fact::trusted(&list.name))
}

impl Revocable<'_> {
    /// What of it a list revokes, and how.
    fn listed(&self, table: &RevocationTable) -> Option<(&'static str, &'static str)> {
        let lower;
        let certificate = match self.certificate {
            Some(hash) if table.has(RevokedName::Certificate) => {
                lower = hash.to_ascii_lowercase();
                Some(&*lower)
            }
            _ => None,
        };
        let [client, other] = self.clients;
        let key = match self.signed_by {
            SignedBy::Key(key) => Some(key),
            SignedBy::Nobody | SignedBy::Unnamed => None,
        };
        let names = [
            (RevokedName::Token, self.token),
            (RevokedName::Subject, self.subject),
            (RevokedName::Client, client),
            (RevokedName::Client, other),
            (RevokedName::SigningKey, key),
            (RevokedName::ApiKey, self.api_key),
            (RevokedName::Certificate, certificate),
        ];
        for (name, text) in names {
            match text.and_then(|text| table.find(name, text)) {
                None => {}
                Some(Since::Ever) => return Some((name.field(), "listed")),
                Some(Since::Before(second)) if self.issued.is_before(second) => {
                    return Some((name.field(), "listed"));
                }
                Some(Since::Before(_)) => {}
            }
        }
        if self.has_odd_client && table.has(RevokedName::Client) {
            return Some((RevokedName::Client.field(), "kind"));
        }
        // The key that signed it may be any of those that are revoked.
        if self.signed_by == SignedBy::Unnamed && table.has(RevokedName::SigningKey) {
            return Some((RevokedName::SigningKey.field(), "missing"));
        }
        let second = table.issued_before()?;
        let fault = match self.issued {
            Issued::Unsaid => "missing",
            _ => "too_old",
        };
        self.issued.is_before(second).then_some(("iat", fault))
    }
}

impl Issued {
    /// Whether it is a token that was issued before that second, or may have been.
    fn is_before(self, second: u32) -> bool {
        match self {
            Issued::NoToken => false,
            Issued::Unsaid => true,
            Issued::At(time) => time < f64::from(second),
        }
    }
}

#[cfg(test)]
mod tests;
