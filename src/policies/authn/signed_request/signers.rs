//! The document's `signers`: by name, who signs requests.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::authn::left_out::is_there;
use portcullis_document::{DidYouMean, Node, Pointer, Problems, Quoted};
use portcullis_exchange::section::{Finishing, Reading, Registry, Section};

use super::signer::Signer;

/// The document's `signers`. One whose block is wrong is still known by name.
#[derive(Debug, Default)]
pub struct Signers {
    named: Vec<NamedSigner>,
}

#[derive(Debug)]
struct NamedSigner {
    name: Rc<str>,
    signer: Option<Rc<Signer>>,
    /// Whether anything has named it.
    used: Cell<bool>,
}

/// The longest name of a signer, in bytes.
const LONGEST_NAME: usize = 64;

impl Signers {
    /// The signer that a block names, or `Some(None)` when its own block is wrong and has been reported there.
    pub(super) fn named(
        &self,
        node: &Node<'_>,
        problems: &mut Problems,
    ) -> Option<Option<Rc<Signer>>> {
        let name = node.non_empty(problems)?;
        if let Some(named) = self.named.iter().find(|each| *each.name == *name) {
            named.used.set(true);
            return Some(named.signer.clone());
        }
        let names = self.named.iter().map(|each| &*each.name);
        let is_amiss = self.named.is_empty() && problems.is_amiss(&Pointer::default(), Self::NAME);
        if !is_amiss {
            let near = DidYouMean(name, names);
            node.report(
                problems,
                format_args!("no one of `signers` is named {}{near}", Quoted(name)),
            );
        }
        None
    }

    fn valid(&self) -> impl Iterator<Item = &Rc<Signer>> {
        self.named.iter().filter_map(|each| each.signer.as_ref())
    }

    /// Notes on signers that share a secret: what is signed for one of them may be good for the other.
    fn shared(&self) -> Vec<String> {
        let mut known: BTreeMap<&str, &str> = BTreeMap::new();
        let mut notes = Vec::new();
        for signer in self.valid() {
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
        let headers = self.valid().flat_map(|signer| signer.signature_headers());
        headers.map(|name| name.as_str().to_owned())
    }
}

impl Section for Signers {
    const NAME: &'static str = "signers";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        is_there(node, reading).then_some(())?;
        let entries = node.members(reading.problems)?;
        let named = entries.into_iter().map(|(name, node)| {
            let is_short = (1..=LONGEST_NAME).contains(&name.len());
            if !is_short {
                node.report(
                    reading.problems,
                    format_args!("the name of a signer has 1 to {LONGEST_NAME} bytes"),
                );
            }
            let name: Rc<str> = name.into();
            let signer = Signer::read(&name, &node, reading).filter(|_| is_short);
            NamedSigner {
                name,
                signer: signer.map(Rc::new),
                used: Cell::new(false),
            }
        });
        Some(Self {
            named: named.collect(),
        })
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    fn finish(&self, finishing: &mut Finishing<'_>) {
        let unused = self.named.iter().filter(|each| !each.used.get());
        finishing.notes.extend(unused.map(|each| {
            format!(
                "/signers: {} is used by no `signed_request` block: no route asks for its signatures",
                Quoted(&each.name)
            )
        }));
        finishing.notes.extend(self.shared());
    }

    fn register(section: &Rc<Self>, registry: &mut Registry) {
        for signer in section.valid() {
            registry.environment.extend(signer.variables());
            registry.memory_estimates.extend(signer.footprint());
        }
    }
}
