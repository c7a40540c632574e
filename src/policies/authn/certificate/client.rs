//! Who is known by which certificate.

use portcullis_document::{Node, Problems};
use portcullis_exchange::principal::Roles;
use portcullis_exchange::refusal::Detail;
use portcullis_wire::json::compact::Compact;

use super::names::{Names, optional, read_text};
use super::source::{Asked, Certificate};
use crate::authn::grants::{known_as, read_grants};
use crate::authn::roles::RoleRules;

/// One client: the names of its certificate, and what is known of it.
#[derive(Debug)]
pub(super) struct Client {
    names: Names,
    facts: Facts,
}

/// What is known of a client.
#[derive(Debug)]
enum Facts {
    /// All of it, by the entry alone.
    Whole(Compact, Roles),
    /// The members of an object but for the client's name, which its certificate says.
    Named(String),
}

/// The longest name of a client, in bytes.
const LONGEST_CLIENT: usize = 256;

impl Client {
    /// Reads an entry of `clients` of a set with those rules for roles.
    pub(super) fn read(
        node: &Node<'_>,
        rules: &RoleRules,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut fields = node.object(
            problems,
            "{\"spiffe\": {\"exact\": \"…\"}, \"client\": \"…\"}",
        )?;
        let client = optional("client", &mut fields, problems, |node, problems| {
            read_text(node, LONGEST_CLIENT, problems)
        });
        let grants = read_grants(&mut fields, problems);
        let names = Names::read(&mut fields, problems)?;
        fields.deny_unknown(problems);
        let (client, rest) = (client?, grants?);
        // What cannot be read now could not be at any use either, whatever the certificate's name.
        let name = client.as_deref().unwrap_or_default();
        let Some(facts) = known_as(name, &rest) else {
            node.report(problems, "its attributes are nested too deeply");
            return None;
        };
        rules
            .tells(&facts, node.pointer(), problems)
            .then_some(())?;
        let facts = match client {
            None => Facts::Named(rest),
            Some(_) => {
                let roles = rules.of(&facts).ok()?;
                Facts::Whole(facts, roles)
            }
        };
        Some(Self { names, facts })
    }

    /// What of a certificate it takes to tell whether it is this client's.
    pub(super) fn asks(&self, asked: &mut Asked) {
        self.names.asks(asked);
    }

    /// What is known of the client, if the certificate has all the names of the entry; and its roles by those
    /// rules, unless they cannot be told.
    pub(super) fn facts(
        &self,
        certificate: &Certificate<'_>,
        rules: &RoleRules,
    ) -> Option<(Compact, Result<Roles, Detail>)> {
        let name = self.names.fit(certificate)?;
        match &self.facts {
            Facts::Whole(facts, roles) => Some((facts.clone(), Ok(roles.clone()))),
            Facts::Named(rest) => {
                let facts = known_as(name, rest)?;
                let roles = rules.of(&facts);
                Some((facts, roles))
            }
        }
    }

    /// The same of some certificate that has them.
    pub(super) fn example(&self) -> Option<Compact> {
        match &self.facts {
            Facts::Whole(facts, _) => Some(facts.clone()),
            Facts::Named(rest) => known_as("a", rest),
        }
    }

    /// How many bytes of memory it takes, roughly.
    pub(super) fn memory(&self) -> usize {
        let facts = match &self.facts {
            Facts::Whole(facts, roles) => facts.size().saturating_add(roles.memory()),
            Facts::Named(rest) => rest.len(),
        };
        let own = size_of::<Self>().saturating_add(facts);
        own.saturating_add(self.names.memory())
    }
}
