//! One list: where its entries come from, and what becomes of requests while it is not there.

use std::rc::Rc;
use std::time::Duration;

use portcullis_document::{Fields, Node, Problems, Quoted};
use portcullis_exchange::meter::Event;
use portcullis_wire::budget::Share;

use super::entry::read_entry;
use super::table::{MOST_ENTRIES, RevocationBuilder, RevocationTable};
use crate::fetched_list::{FetchedContent, FetchedList, ItemList, ListWords, MostItems, Twice};

/// A list of what is revoked.
pub(in crate::authn) struct RevocationList {
    pub(super) name: Rc<str>,
    pub(super) entries: Entries,
    on_error: WithoutList,
}

/// Where its entries come from.
pub(super) enum Entries {
    /// The document.
    Written(Rc<RevocationTable>),
    /// A service.
    Fetched(Rc<FetchedList<RevocationTable>>),
}

/// What becomes of credentials while a list is not there, or too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WithoutList {
    Deny,
    Allow,
}

/// What is known of a list at some time.
pub(super) enum InForce {
    /// These are revoked.
    Known(Rc<RevocationTable>),
    /// These were revoked, if there ever was a list, and the document says that this is enough.
    Allowed(Option<Rc<RevocationTable>>),
    /// It is not there.
    Missing,
}

impl RevocationList {
    /// Reads `entries`, or `remote` and `on_error`.
    pub(super) fn read(
        name: &Rc<str>,
        node: &Node<'_>,
        notes: &mut Vec<String>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut fields = node.object(problems, "{\"entries\": […]}")?;
        let entries = Entries::read(name, &mut fields, problems);
        let written = fields.optional("on_error");
        let choices = [("deny", WithoutList::Deny), ("allow", WithoutList::Allow)];
        let on_error = match &written {
            None => Some(WithoutList::Deny),
            Some(node) => node.choice(problems, &choices),
        };
        fields.deny_unknown(problems);
        let (entries, on_error) = (entries?, on_error?);
        if let (Entries::Written(_), Some(node)) = (&entries, &written) {
            node.report(
                problems,
                "says nothing here: entries of the document are always there",
            );
            return None;
        }
        if on_error == WithoutList::Allow {
            notes.push(format!(
                "revocation list {}: `on_error` is \"allow\": while it cannot be fetched, what it revokes passes",
                Quoted(name)
            ));
        }
        Some(Self {
            name: Rc::clone(name),
            entries,
            on_error,
        })
    }

    /// The list at `now`, on the clock that does not step.
    pub(super) fn in_force(&self, now: Duration) -> InForce {
        let fetched = match &self.entries {
            Entries::Written(table) => return InForce::Known(Rc::clone(table)),
            Entries::Fetched(fetched) => fetched,
        };
        match (fetched.in_force(now), self.on_error) {
            (Some(table), _) => InForce::Known(table),
            (None, WithoutList::Allow) => InForce::Allowed(fetched.last()),
            (None, WithoutList::Deny) => InForce::Missing,
        }
    }

    /// Counts its changes.
    pub(super) fn generation(&self) -> u64 {
        match &self.entries {
            Entries::Written(_) => 0,
            Entries::Fetched(fetched) => fetched.generation(),
        }
    }
}

impl Entries {
    fn read(name: &Rc<str>, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        match (fields.optional("entries"), fields.optional("remote")) {
            (Some(entries), None) => {
                let table = read_entries(&entries, problems)?;
                Some(Self::Written(Rc::new(table)))
            }
            (None, Some(remote)) => {
                let fetched = FetchedList::read(name, &remote, problems, |fields, problems| {
                    let usual = MostItems::USUAL;
                    fields.or_default("max_entries", usual, problems, |node, problems| {
                        MostItems::read(node, MOST_ENTRIES, problems)
                    })
                });
                fetched.map(Rc::new).map(Self::Fetched)
            }
            (Some(_), Some(remote)) => {
                remote.report(
                    problems,
                    "cannot stand beside `entries`; keep one of them, or make two lists",
                );
                None
            }
            (None, None) => {
                fields.lacks(
                    &["entries", "remote"],
                    problems,
                    "has no entries; add `entries` or `remote`",
                );
                None
            }
        }
    }
}

fn read_entries(node: &Node<'_>, problems: &mut Problems) -> Option<RevocationTable> {
    let items = node.items_unquoted(problems)?;
    if items.len() > MOST_ENTRIES {
        node.report(
            problems,
            format_args!("has more than {MOST_ENTRIES} entries; make two lists"),
        );
        return None;
    }
    let mut builder = RevocationBuilder::default();
    let mut good = true;
    for item in &items {
        good &= read_entry(&mut builder, item, problems).is_some();
    }
    problems.account(node.pointer(), Share::Documents, builder.memory());
    good.then(|| builder.finish())
}

impl FetchedContent for RevocationTable {
    const PLACE: &'static str = "revocation list";
    const NOUN: &'static str = "revocations";
    const CELLS: &'static str = "revocations";
    const FETCHED: Event = Event::RevocationsFetched;
    const FAILED: Event = Event::RevocationsFetchFailed;
}

impl ItemList for RevocationTable {
    type Builder = RevocationBuilder;
    /// An entry that cannot be read would be one that is not in force.
    const WORDS: ListWords = ListWords {
        member: "revoked",
        item: "entry",
        items: "entries",
        list: "list",
        most: "max_entries",
        is_spoilt: true,
    };
    const MEMORY_EACH: usize = 32;
    const TEXT_EACH: usize = 128;

    fn push(
        builder: &mut RevocationBuilder,
        item: &Node<'_>,
        problems: &mut Problems,
    ) -> Option<bool> {
        read_entry(builder, item, problems).map(|()| true)
    }

    fn memory(builder: &RevocationBuilder) -> usize {
        builder.memory()
    }

    /// Of one name the entry counts that revokes more.
    fn twice(_: &RevocationBuilder) -> Option<Twice> {
        None
    }

    fn finish(builder: RevocationBuilder) -> Self {
        builder.finish()
    }
}

impl std::fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RevocationList({})", self.name)
    }
}
