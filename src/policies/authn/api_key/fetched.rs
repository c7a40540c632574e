//! Stores that are fetched: a service answers `{"keys": […]}`, with the entries of a document. An entry that
//! cannot be used does not spoil the others: its key is unknown.

use std::rc::Rc;

use super::entry::{HashedKey, WrittenKey};
use super::table::{KeyTable, MOST_KEYS, TableBuilder};
use crate::fetched_list::{FetchedContent, FetchedList, ItemList, ListWords, MostItems, Twice};
use portcullis_document::{Node, Problems};
use portcullis_exchange::meter::Event;

/// The keys of one store that are fetched.
pub(crate) type FetchedStore = FetchedList<KeyTable>;

impl FetchedStore {
    /// Reads `remote: { cluster, uri, headers, timeout, cache_duration, max_stale, cooldown, max_keys }`.
    pub(crate) fn read_store(
        name: &Rc<str>,
        node: &Node<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        Self::read(name, node, problems, |fields, problems| {
            fields.or_default("max_keys", MostItems::USUAL, problems, |node, problems| {
                MostItems::read(node, MOST_KEYS, problems)
            })
        })
    }
}

impl FetchedContent for KeyTable {
    const PLACE: &'static str = "API key store";
    const NOUN: &'static str = "API keys";
    const CELLS: &'static str = "api_keys";
    const FETCHED: Event = Event::ApiKeysFetched;
    const FAILED: Event = Event::ApiKeysFetchFailed;
}

impl ItemList for KeyTable {
    type Builder = TableBuilder;
    const WORDS: ListWords = ListWords {
        member: "keys",
        item: "key",
        items: "keys",
        list: "store",
        most: "max_keys",
        is_spoilt: false,
    };
    const MEMORY_EACH: usize = 128;
    const TEXT_EACH: usize = 512;

    fn push(builder: &mut TableBuilder, item: &Node<'_>, problems: &mut Problems) -> Option<bool> {
        let written = WrittenKey::read(item, HashedKey::Either, problems)?;
        Some(builder.push(&written.entry()))
    }

    fn memory(builder: &TableBuilder) -> usize {
        builder.memory()
    }

    fn twice(builder: &TableBuilder) -> Option<Twice> {
        builder.twice()
    }

    fn finish(builder: TableBuilder) -> Self {
        builder.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetched_list::{ListError, MostItems, read_list};
    use hmac_sha256::Hash;

    fn read(body: &str) -> Result<usize, ListError> {
        let mut notes = Vec::new();
        let read = read_list::<KeyTable>(body.as_bytes(), MostItems(3), &mut notes);
        read.map(|table| table.len())
    }

    fn entry(id: usize, more: &str) -> String {
        let hash = Hash::hash(&id.to_le_bytes());
        let hash: String = hash.iter().map(|b| format!("{b:02x}")).collect();
        format!(r#"{{"id":"k{id}","hash":"{hash}","client":"a, [\"{{}}\"]"{more}}}"#)
    }

    #[test]
    fn stores_are_read_entry_by_entry() {
        let (one, two) = (
            entry(1, ""),
            entry(2, r#","attributes":{"a":[1,{"b":"\\"}]}"#),
        );
        for (body, keys) in [
            (r#"{"keys":[]}"#.to_owned(), 0),
            (" {\n\"keys\" : [ ] } \n".to_owned(), 0),
            (format!(r#"{{"keys":[{one}]}}"#), 1),
            (format!("{{\"keys\":\t[ {one} , \r\n{two} ]}}"), 2),
        ] {
            assert_eq!(read(&body), Ok(keys), "{body}");
        }
    }

    #[test]
    fn what_is_no_store_is_refused_as_a_whole() {
        let (one, two) = (entry(1, ""), entry(2, ""));
        let no_store: Vec<String> = vec![
            String::new(),
            "[]".to_owned(),
            "{}".to_owned(),
            r#"{"keys":{}}"#.to_owned(),
            r#"{"keys":[]}}"#.to_owned(),
            r#"{"keys":[]"#.to_owned(),
            r#"{"keys":[],"more":[]}"#.to_owned(),
            format!(r#"{{"keys":[{one}]"#),
            format!(r#"{{"keys":[{one}{two}]}}"#),
            format!(r#"{{"keys":[{one},]}}"#),
            format!(r#"{{"keys":[,{one}]}}"#),
            format!(r#"{{"keys":[{one}],"keys":[{two}]}}"#),
            format!(r#"{{"keys":[{one}]]}}"#),
            format!(r#"{{"keys":[{one},{{]}}"#),
        ];
        for body in no_store {
            assert_eq!(read(&body), Err(ListError::NoList), "{body}");
        }
        let all = (1..=4)
            .map(|id| entry(id, ""))
            .collect::<Vec<_>>()
            .join(",");
        assert_eq!(
            read(&format!(r#"{{"keys":[{all}]}}"#)),
            Err(ListError::TooMany(3))
        );
        let twice = format!(r#"{{"keys":[{two},{one},{one}]}}"#);
        assert_eq!(
            read(&twice),
            Err(ListError::Twice(Twice {
                field: "hash",
                first: 1,
                second: 2
            }))
        );
        let large = |id: usize| {
            let scope = id.to_string().repeat(4000);
            entry(id, &format!(r#","scopes":["{scope}"]"#))
        };
        let large = [large(1), large(2), large(3)].join(",");
        assert_eq!(
            read(&format!(r#"{{"keys":[{large}]}}"#)),
            Err(ListError::TooLarge(8 << 10))
        );
    }

    #[test]
    fn an_entry_that_cannot_be_used_does_not_spoil_the_others() {
        let good = entry(1, "");
        let bad = entry(2, r#","state":"off""#);
        let mut notes = Vec::new();
        let body = format!(r#"{{"keys":[{bad},{good}]}}"#);
        let table: KeyTable = read_list(body.as_bytes(), MostItems::USUAL, &mut notes).unwrap();
        assert_eq!(table.len(), 1);
        assert_eq!(
            notes,
            ["key 1 of the store is passed over: /state: must be one of \"active\", \"revoked\""]
        );
        assert_eq!(
            read(&format!(r#"{{"keys":[{bad}]}}"#)),
            Err(ListError::Unusable)
        );
    }

    /// A store may hold the passwords of machines as well.
    #[test]
    fn the_hash_of_either_kind_of_key_is_told() {
        let mut notes = Vec::new();
        let bad = r#"{"id":"k1","hash":"dXNlcjpwYXNzd29yZA==","client":"a"}"#;
        let body = format!(r#"{{"keys":[{bad},{}]}}"#, entry(1, ""));
        let read = read_list::<KeyTable>(body.as_bytes(), MostItems::USUAL, &mut notes);
        assert!(read.is_ok());
        let [note] = &notes[..] else {
            panic!("one entry is passed over: {notes:?}");
        };
        assert!(note.contains("/hash: is not a hash"), "{note}");
        assert!(
            note.contains("$KEY") && note.contains("$USER:$PASSWORD"),
            "{note}"
        );
        assert!(!note.contains("dXNlcj"), "{note}");
    }

    /// The length that the reference states.
    #[test]
    fn a_hundred_thousand_keys_are_read() {
        let entries: Vec<String> = (0..MOST_KEYS)
            .map(|id| entry(id, r#","scopes":["orders.read"]"#))
            .collect();
        let body = format!(r#"{{"keys":[{}]}}"#, entries.join(","));
        let most = MostItems(MOST_KEYS);
        assert!(body.len() < most.body::<KeyTable>(), "{}", body.len());
        let table: KeyTable = read_list(body.as_bytes(), most, &mut Vec::new()).unwrap();
        assert_eq!(table.len(), MOST_KEYS);
        assert!(table.memory() < most.memory::<KeyTable>());
    }
}
