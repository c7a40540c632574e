//! Who signs, and what is known of them.

use std::rc::Rc;

use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::exchange::Edit;
use portcullis_exchange::principal::Roles;
use portcullis_wire::json::compact::Compact;

use crate::authn::forwarding::Forwarding;
use crate::authn::grants::{known_as, read_grants};
use crate::authn::presented::Unwritable;
use crate::authn::roles::RoleRules;

/// Who signs: what is known of them, and what the service is told of that.
#[derive(Clone, Debug)]
pub(super) struct SigningClient {
    pub(super) name: Rc<str>,
    pub(super) facts: Compact,
    pub(super) roles: Roles,
    pub(super) edits: Rc<[Edit]>,
}

/// The longest name of a client, in bytes.
const LONGEST: usize = 256;

impl SigningClient {
    /// Reads `client`, `scopes` and `attributes`. Without a name it is that one.
    pub(super) fn read(
        usual: &str,
        fields: &mut Fields<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let client = fields.or_default("client", usual.to_owned(), problems, read_client);
        let grants = read_grants(fields, problems);
        let (client, grants) = (client?, grants?);
        let Some(facts) = known_as(&client, &grants) else {
            problems.report(fields.pointer(), "its attributes are nested too deeply");
            return None;
        };
        Some(Self {
            name: client.into(),
            facts,
            roles: Roles::default(),
            edits: Rc::default(),
        })
    }

    /// The same, with its roles by those rules and with what the service is told.
    pub(super) fn told(
        self,
        (forwarding, rules): (&Forwarding, &RoleRules),
        node: &Node<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        rules
            .tells(&self.facts, node.pointer(), problems)
            .then_some(())?;
        let roles = rules.of(&self.facts).ok()?;
        match forwarding.edits(&self.facts) {
            Ok(edits) => Some(Self {
                edits: edits.into(),
                roles,
                ..self
            }),
            Err(Unwritable) => {
                node.report(
                    problems,
                    "what `claim_to_headers` or `claim_to_filter_state` tells of its client cannot stand in a header: it has a control character, or blanks at its ends",
                );
                None
            }
        }
    }

    /// How many bytes of memory it takes, roughly.
    pub(super) fn memory(&self) -> usize {
        let edits = self.edits.len().saturating_mul(64);
        size_of::<Self>()
            .saturating_add(self.facts.size())
            .saturating_add(self.roles.memory())
            .saturating_add(self.name.len())
            .saturating_add(edits)
    }
}

fn read_client(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let name = node.non_empty(problems)?;
    if name.len() > LONGEST || name.bytes().any(|b| b.is_ascii_control()) {
        node.report(
            problems,
            "must be 1 to 256 bytes without control characters",
        );
        return None;
    }
    Some(name.to_owned())
}
