//! The document's `certificates`: by name, whose certificates are known, and from where.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use portcullis_document::{Node, Pointer, Problems, Quoted};
use portcullis_exchange::section::{Finishing, Reading, Section};
use portcullis_wire::budget::Share;
use portcullis_wire::headers::HeaderName;
use portcullis_wire::json::compact::Compact;

use super::client::Client;
use super::refusals::SEVERAL_CERTIFICATES;
use super::source::{Asked, Certificate, CertificateSource};
use super::unless_revoked;
use crate::authn::forwarding::Forwarding;
use crate::authn::left_out::{HAS_CREDENTIALS, left_out};
use crate::authn::location::{LocationError, Locations};
use crate::authn::revocation::{RevocationLists, UsedLists};
use crate::authn::roles::RoleRules;
use crate::named::{NamedBlock, NamedBlocks};
use portcullis_exchange::exchange::Request;
use portcullis_exchange::host::Host;
use portcullis_exchange::principal::Roles;
use portcullis_exchange::refusal::{BlockPlace, Detail, Refusal};

/// The document's `certificates`. One whose block is wrong is still known by name.
#[derive(Debug, Default)]
pub struct CertificateSets {
    pub(in crate::authn) by_name: NamedBlocks<CertificateSet>,
}

/// Clients that are known by their certificates.
pub(in crate::authn) struct CertificateSet {
    pub(in crate::authn) name: Rc<str>,
    /// Where its block stands.
    pub(super) place: BlockPlace,
    pub(super) source: CertificateSource,
    /// Where that is in a request, if it is there.
    pub(super) locations: Locations,
    pub(super) forwarding: Forwarding,
    pub(in crate::authn) roles: RoleRules,
    clients: Vec<Client>,
    pub(super) asked: Asked,
    /// What is revoked whoever its client is.
    pub(super) lists: UsedLists,
}

/// The most clients of a set: each may be compared with a certificate.
const MAX_CLIENTS: usize = 1000;

impl Section for CertificateSets {
    const NAME: &'static str = "certificates";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        if !HAS_CREDENTIALS {
            return left_out(node, reading);
        }
        let entries = node.members(reading.problems)?;
        let by_name = NamedBlocks::read(entries, reading, CertificateSet::read);
        Some(Self { by_name })
    }

    fn absent() -> Option<Self> {
        HAS_CREDENTIALS.then(Self::default)
    }

    fn finish(&self, finishing: &mut Finishing<'_>) {
        finishing.notes.extend(self.by_name.unused().map(|name| {
            format!(
                "/certificates: {name} is used by no `certificate` or `credentials` block: no route asks for its certificates"
            )
        }));
    }
}

impl NamedBlock for CertificateSet {
    const SECTION: &'static str = CertificateSets::NAME;
    const NOUN: &'static str = "set of `certificates`";
    const LONGEST_NAME: usize = usize::MAX;
}

impl CertificateSet {
    fn read(name: &Rc<str>, node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let problems = &mut *reading.problems;
        let mut fields = node.fields(problems)?;
        let source = fields.or_default(
            "source",
            CertificateSource::default(),
            problems,
            CertificateSource::read,
        );
        let roles = RoleRules::read(&mut fields, problems);
        let none = RoleRules::default();
        // Rules that are wrong have been reported.
        let rules = roles.as_ref().unwrap_or(&none);
        let clients = fields
            .required("clients", problems)
            .and_then(|node| read_clients(&node, rules, problems));
        let known = reading.known.get::<RevocationLists>();
        let lists = UsedLists::read(&mut fields, &known, problems);
        let forward = fields.optional("forward");
        let forwarding = Forwarding::read_without_payload(&mut fields, problems);
        fields.deny_unknown(problems);
        let (source, clients, forwarding) = (source?, clients?, forwarding?);
        let (lists, roles) = (lists?, roles?);
        let at = node.pointer().member("clients");
        check_told(&clients, &forwarding, &at, problems)?;
        if let (None, Some(node)) = (source.header(), forward) {
            node.report(
                problems,
                "says nothing here: the certificate of a connection stands in no field; it is for `x_forwarded_client_cert`",
            );
            return None;
        }
        let memory = clients.iter().map(Client::memory);
        let memory = memory.fold(size_of::<Self>(), usize::saturating_add);
        let memory = memory.saturating_add(source.memory());
        let place = BlockPlace::of(node);
        problems.account(
            node.pointer(),
            Share::Documents,
            memory.saturating_add(place.memory()),
        );
        if let CertificateSource::Header(forwarded) = &source {
            let name = Quoted(name);
            reading.notes.push(match forwarded.knows_sender() {
                true => format!(
                    "/certificates: {name} believes `x-forwarded-client-cert` on connections with a certificate: the first proxy has to say `forward_client_cert_details: SANITIZE_SET`, and its listener to verify every certificate (`trusted_ca`, no `ACCEPT_UNTRUSTED`)"
                ),
                false => format!(
                    "/certificates: {name} believes `x-forwarded-client-cert` whoever sends it: the first proxy has to say `forward_client_cert_details: SANITIZE_SET` and its listener to verify every certificate (`trusted_ca`, no `ACCEPT_UNTRUSTED`), and nobody else may reach this one; `verified` and `proxies` have the connection asked too"
                ),
            });
        }
        let mut asked = Asked::default();
        clients.iter().for_each(|client| client.asks(&mut asked));
        asked.sha256 |= !lists.is_empty();
        let locations = match source.header() {
            None => Locations::nowhere(),
            Some(name) => Locations::header(name.clone()),
        };
        Some(Self {
            name: Rc::clone(name),
            place,
            source,
            locations,
            forwarding,
            roles,
            clients,
            asked,
            lists,
        })
    }

    /// The header field that tells of certificates, if one does.
    pub(in crate::authn) fn header(&self) -> Option<&HeaderName> {
        self.source.header()
    }

    /// Whether it tells of certificates what anybody says who may connect.
    pub(in crate::authn) fn believes_anybody(&self) -> bool {
        match &self.source {
            CertificateSource::Connection(_) => false,
            CertificateSource::Header(forwarded) => !forwarded.knows_sender(),
        }
    }

    /// The SHA-256 of a client's certificate in hexadecimal digits; none if it has none.
    pub(in crate::authn) fn sha256<'r>(
        &'r self,
        request: &Request<'r>,
        host: &dyn Host,
    ) -> Result<Option<Cow<'r, str>>, Refusal> {
        let asked = Asked {
            sha256: true,
            ..Asked::default()
        };
        let field = match &self.source {
            CertificateSource::Connection(_) if !CertificateSource::is_presented(host) => {
                return Ok(None);
            }
            CertificateSource::Connection(_) => &[][..],
            CertificateSource::Header(forwarded) => match self.locations.find(request) {
                Err(LocationError::Missing) => return Ok(None),
                Err(LocationError::Repeated) => return Err(Refusal::new(&SEVERAL_CERTIFICATES)),
                Ok(found) if !forwarded.tells(found.token()) => return Ok(None),
                Ok(found) => found.token(),
            },
        };
        let refuse = |refusal: Refusal| refusal.placed(&self.place, Some("source"));
        let certificate = self.source.certificate(field, asked, host);
        Ok(certificate.map_err(refuse)?.sha256)
    }

    /// Whether none of its lists revokes the certificate with that SHA-256, whoever its client is.
    pub(in crate::authn) fn unless_revoked(
        &self,
        sha256: &str,
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        let refuse = |refusal: Refusal| refusal.placed(&self.place, Some("revocation_lists"));
        unless_revoked(&self.lists, sha256, host).map_err(refuse)
    }

    /// What is known of the client with that certificate, and its roles: the first entry that it fits says so.
    pub(super) fn facts(
        &self,
        certificate: &Certificate<'_>,
    ) -> Option<(Compact, Result<Roles, Detail>)> {
        let mut clients = self.clients.iter();
        clients.find_map(|client| client.facts(certificate, &self.roles))
    }
}

fn read_clients(
    node: &Node<'_>,
    rules: &RoleRules,
    problems: &mut Problems,
) -> Option<Vec<Client>> {
    let read = |node: &Node<'_>, problems: &mut Problems| Client::read(node, rules, problems);
    let clients = node.list(problems, read)?;
    if clients.is_empty() {
        node.report(problems, "must not be empty: nobody could call");
        return None;
    }
    if clients.len() > MAX_CLIENTS {
        node.report(problems, format_args!("has more than {MAX_CLIENTS} items"));
        return None;
    }
    Some(clients)
}

/// Checks that what is known of each client can be told: at a request it would be the client's fault.
fn check_told(
    clients: &[Client],
    forwarding: &Forwarding,
    at: &Pointer,
    problems: &mut Problems,
) -> Option<()> {
    let mut good = Some(());
    for (place, client) in clients.iter().enumerate() {
        let told = client.example().map(|facts| forwarding.edits(&facts));
        if !matches!(told, Some(Ok(_))) {
            problems.report(
                &at.item(place),
                "what `claim_to_headers` or `claim_to_filter_state` tells of it cannot stand in a header: it has a control character, or blanks at its ends",
            );
            good = None;
        }
    }
    good
}

impl fmt::Debug for CertificateSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateSet({}, {})", self.name, self.clients.len())
    }
}
