//! Who vouches for callers, by name and whatever kind of credential it is for.

use std::rc::Rc;

use super::api_key::{ApiKeyStore, ApiKeyStores, SCHEME};
use super::certificate::set::{CertificateSet, CertificateSets};
use super::challenge::plain_challenge;
use super::introspection::{IntrospectionServer, IntrospectionServers};
use super::jwt::bound::Binding;
use super::jwt::{Provider, Providers};
use super::location::Locations;
use super::roles::RoleRules;
use portcullis_document::{DidYouMean, Node, Pointer, Problems, Quoted};
use portcullis_exchange::principal::CredentialKind;
use portcullis_exchange::section::Sections;
use portcullis_wire::json::Json;

/// A provider, an API key store, a certificate set or an introspection server.
#[derive(Clone)]
pub(super) enum Authority {
    Provider(Rc<Provider>),
    Store(Rc<ApiKeyStore>),
    Set(Rc<CertificateSet>),
    Server(Rc<IntrospectionServer>),
}

/// One way to name an authority.
struct AuthorityKind {
    /// The field that says which kind it is, where the name alone does not.
    field: &'static str,
    /// The section of the document that has them.
    section: &'static str,
    /// What one is called.
    noun: &'static str,
    find: fn(&str, &Sections) -> Option<Option<Authority>>,
    names: fn(&Sections) -> Vec<String>,
}

static KINDS: [AuthorityKind; 4] = [
    AuthorityKind {
        field: "provider",
        section: "providers",
        noun: "provider",
        find: |name, sections| {
            let found = sections.get::<Providers>().by_name.named(name)?;
            Some(found.map(Authority::Provider))
        },
        names: |sections| owned(sections.get::<Providers>().names()),
    },
    AuthorityKind {
        field: "store",
        section: "api_key_stores",
        noun: "API key store",
        find: |name, sections| {
            let found = sections.get::<ApiKeyStores>().by_name.named(name)?;
            Some(found.map(Authority::Store))
        },
        names: |sections| owned(sections.get::<ApiKeyStores>().by_name.names()),
    },
    AuthorityKind {
        field: "set",
        section: "certificates",
        noun: "set of `certificates`",
        find: |name, sections| {
            let found = sections.get::<CertificateSets>().by_name.named(name)?;
            Some(found.map(Authority::Set))
        },
        names: |sections| owned(sections.get::<CertificateSets>().by_name.names()),
    },
    AuthorityKind {
        field: "server",
        section: "introspection_servers",
        noun: "introspection server",
        find: |name, sections| {
            let found = sections.get::<IntrospectionServers>().by_name.named(name)?;
            Some(found.map(Authority::Server))
        },
        names: |sections| owned(sections.get::<IntrospectionServers>().by_name.names()),
    },
];

fn owned<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    names.map(str::to_owned).collect()
}

impl Authority {
    /// Reads the name of one, or an object with a field that says what kind it is of. `Some(None)` if its own
    /// block is wrong, and has been reported there.
    pub(super) fn read(
        node: &Node<'_>,
        sections: &Sections,
        problems: &mut Problems,
    ) -> Option<Option<Self>> {
        let (kinds, named) = match node.json() {
            Json::Object(_) => {
                let mut fields = node.fields(problems)?;
                let written = KINDS.iter();
                let mut written =
                    written.filter_map(|kind| Some((kind, fields.optional(kind.field)?)));
                let (first, second) = (written.next(), written.next());
                let Some((kind, named)) = first else {
                    let names: Vec<&str> = KINDS.iter().map(|kind| kind.field).collect();
                    let reason = "needs one of `provider`, `store`, `set`, `server`";
                    fields.lacks(&names, problems, reason);
                    return None;
                };
                if let Some((_, second)) = second {
                    second.report(
                        problems,
                        format_args!("cannot stand beside `{}`; keep one of them", kind.field),
                    );
                    return None;
                }
                fields.deny_unknown(problems);
                (vec![kind], named)
            }
            _ => (KINDS.iter().collect(), node.clone()),
        };
        let name = named.non_empty(problems)?;
        let found = kinds.iter();
        let mut found = found.filter_map(|kind| Some((kind, (kind.find)(name, sections)?)));
        match (found.next(), found.next()) {
            (Some((_, found)), None) => Some(found),
            (Some((one, _)), Some((other, _))) => {
                named.report(
                    problems,
                    format_args!(
                        "is a name of two: {}, {}; say which is meant: {{\"{}\": {}}}",
                        one.noun,
                        other.noun,
                        one.field,
                        Quoted(name)
                    ),
                );
                None
            }
            (None, _) => {
                let is_amiss =
                    |kind: &&AuthorityKind| problems.is_amiss(&Pointer::default(), kind.section);
                if kinds.iter().any(is_amiss) {
                    return None;
                }
                let names = kinds.iter().flat_map(|kind| (kind.names)(sections));
                let names: Vec<String> = names.collect();
                let near = DidYouMean(name, names.iter().map(String::as_str));
                let nouns: Vec<&str> = kinds.iter().map(|kind| kind.noun).collect();
                let nouns = nouns.join(", and no ");
                named.report(
                    problems,
                    format_args!("no {nouns} is named {}{near}", Quoted(name)),
                );
                None
            }
        }
    }

    /// The kind of credential, and the name.
    pub(super) fn name(&self) -> (CredentialKind, Rc<str>) {
        match self {
            Self::Provider(provider) => (CredentialKind::Jwt, Rc::clone(&provider.name)),
            Self::Store(store) => (CredentialKind::ApiKey, Rc::clone(&store.name)),
            Self::Set(set) => (CredentialKind::Certificate, Rc::clone(&set.name)),
            Self::Server(server) => (CredentialKind::Introspection, Rc::clone(&server.name)),
        }
    }

    /// Where its credentials stand in a request; none if that is not what they do.
    pub(super) fn locations(&self) -> Option<&Locations> {
        match self {
            Self::Provider(provider) => Some(&provider.locations),
            Self::Store(store) => Some(&store.locations),
            Self::Set(_) => None,
            Self::Server(server) => Some(&server.locations),
        }
    }

    /// How it comes by roles.
    pub(super) fn roles(&self) -> &RoleRules {
        match self {
            Self::Provider(provider) => &provider.roles,
            Self::Store(store) => &store.roles,
            Self::Set(set) => &set.roles,
            Self::Server(server) => &server.roles,
        }
    }

    /// What its tokens are bound to, if it issues any.
    pub(super) fn binding(&self) -> Option<&Binding> {
        match self {
            Self::Provider(provider) => Some(&provider.binding),
            Self::Server(server) => Some(&server.binding),
            Self::Store(_) | Self::Set(_) => None,
        }
    }

    /// What asks a client for a credential that is no token; none if no header field does.
    pub(super) fn challenge(&self, realm: &str) -> Option<String> {
        match self {
            Self::Store(_) => Some(plain_challenge(SCHEME, realm)),
            Self::Provider(_) | Self::Server(_) | Self::Set(_) => None,
        }
    }
}
