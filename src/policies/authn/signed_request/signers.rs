//! The document's `signers`: by name, who signs requests.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::authn::left_out::{HAS_CREDENTIALS, left_out};
use crate::named::{NamedBlock, NamedBlocks};
use portcullis_document::{Node, Quoted};
use portcullis_exchange::section::{Finishing, Reading, Registry, Section};

use super::signer::Signer;

/// The document's `signers`. One whose block is wrong is still known by name.
#[derive(Debug, Default)]
pub struct Signers {
    pub(super) by_name: NamedBlocks<Signer>,
}

impl Signers {
    /// Notes on signers that share a secret: what is signed for one of them may be good for the other.
    fn shared(&self) -> Vec<String> {
        let mut known: BTreeMap<&str, &str> = BTreeMap::new();
        let mut notes = Vec::new();
        for signer in self.by_name.valid() {
            for secret in signer.secrets() {
                let other = *known.entry(secret).or_insert(&signer.name);
                if other != &*signer.name {
                    notes.push(format!(
                        "/signers: {} and {} have the secret {secret}: what is signed for one may be sent to the other, where its form allows; give each its own",
                        Quoted(other),
                        Quoted(&signer.name)
                    ));
                }
            }
        }
        notes
    }

    /// The fields of requests with signatures: a log shows none of them.
    pub fn places(&self) -> impl Iterator<Item = String> {
        let headers = self
            .by_name
            .valid()
            .flat_map(|signer| signer.signature_headers());
        headers.map(|name| name.as_str().to_owned())
    }
}

impl NamedBlock for Signer {
    const SECTION: &'static str = Signers::NAME;
    const NOUN: &'static str = "signer";
}

impl Section for Signers {
    const NAME: &'static str = "signers";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        if !HAS_CREDENTIALS {
            return left_out(node, reading);
        }
        let entries = node.members(reading.problems)?;
        let by_name = NamedBlocks::read(entries, reading, Signer::read);
        Some(Self { by_name })
    }

    fn absent() -> Option<Self> {
        HAS_CREDENTIALS.then(Self::default)
    }

    fn finish(&self, finishing: &mut Finishing<'_>) {
        finishing.notes.extend(self.by_name.unused().map(|name| {
            format!(
                "/signers: {name} is used by no `signed_request` block: no route asks for its signatures"
            )
        }));
        finishing.notes.extend(self.shared());
    }

    fn register(section: &Rc<Self>, registry: &mut Registry) {
        for signer in section.by_name.valid() {
            registry.environment.extend(signer.variables());
            registry.memory_estimates.extend(signer.footprint());
        }
    }
}
