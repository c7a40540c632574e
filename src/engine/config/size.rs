//! How large a document may be, and what may be made of it.

use super::problem::MAX_COMPILED;

/// How many bytes a document may have.
pub(super) const MAX_BYTES: usize = 4 << 20;

/// How many values a document may have. Most of a document's values have some ten bytes; an OpenAPI
/// document of 4 MiB has up to 200 000 of them.
pub(super) const MAX_VALUES: usize = 200_000;

/// What any document takes of memory.
pub(super) const ENGINE: usize = 64 << 10;
/// What a route takes of memory beside what it says: its place in lists, and the chain of its policies.
pub(super) const ROUTE: usize = 2048;
/// What the plan of a route may take of memory: one that takes more is not kept.
pub(super) const PLAN: usize = 12 << 10;
/// So many routes, the first of a document, may have plans.
pub(super) const MOST_PLANS: usize = 1000;
/// What is written in a document takes at most that many times as much when it is compiled.
pub(super) const EACH: usize = 4;

/// The most memory that compiling a document takes at a time: the document, its values, what is made
/// of them.
pub fn bound(document: &[u8]) -> usize {
    // What a value, its name and its place take while it is read.
    const VALUE: usize = 512;
    let values = count_values(document).min(MAX_VALUES);
    let read = values.saturating_mul(VALUE);
    let text = document.len().min(MAX_BYTES).saturating_mul(3);
    MAX_COMPILED.saturating_add(read).saturating_add(text)
}

/// How many values there are in a JSON text, at most: each but the first stands behind one of these.
pub(super) fn count_values(text: &[u8]) -> usize {
    let (mut count, mut quoted, mut escaped) = (1_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b',' | b'[' | b'{' if !quoted => count = count.saturating_add(1),
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use portcullis_wire::budget::Share;
    use portcullis_wire::json::Json;

    fn document(more: &str) -> String {
        format!(
            r#"{{"version": 1, {more} "routes": [{{"name": "a", "match": {{}}, "open": true}}]}}"#
        )
    }

    fn list<T: ToString>(items: impl Iterator<Item = T>) -> String {
        items
            .map(|item| item.to_string())
            .collect::<Vec<_>>()
            .join(",")
    }

    fn problem(document: &str) -> String {
        let error = Engine::compile(document.as_bytes()).unwrap_err();
        error.problems[0].to_string()
    }

    /// Where keys are looked for is kept for each store.
    #[test]
    fn stores_count_beside_their_keys() {
        let stores = |count: usize| {
            let names = list((0..16).map(|name| format!("\"n{name}\"")));
            let store =
                format!(r#"{{"from_params": [{names}], "from_cookies": [{names}], "keys": []}}"#);
            let stores = list((0..count).map(|place| format!("\"s{place}\": {store}")));
            document(&format!(r#""api_key_stores": {{{stores}}},"#))
        };
        assert!(Engine::compile(stores(100).as_bytes()).is_ok());
        let found = problem(&stores(4000));
        assert!(
            found.contains("/api_key_stores: here the document passes"),
            "{found}"
        );
    }

    #[test]
    fn values_are_counted_before_they_are_read() {
        for text in ["1", "[]", "{}", r#"[1,"a,b[{",{"x\\":[2,"\""]}]"#] {
            fn values(json: &Json) -> usize {
                1 + match json {
                    Json::Array(items) => items.iter().map(values).sum(),
                    Json::Object(object) => object.iter().map(|(_, value)| values(value)).sum(),
                    _ => 0,
                }
            }
            let json = Json::parse(text.as_bytes(), 8).unwrap();
            assert!(count_values(text.as_bytes()) >= values(&json), "{text}");
        }
        assert_eq!(count_values(br#"["a,b[{", 1]"#), 3);
        let many = document(&format!(r#""x": [{}],"#, list(0..MAX_VALUES)));
        assert!(problem(&many).contains("values"), "{}", problem(&many));
    }

    #[test]
    fn a_document_that_takes_too_much_does_not_load() {
        let schemas = list((0..45_000).map(|n| format!(r#""k{n}":{{"type":"null"}}"#)));
        let schemas = document(&format!(
            r#""schemas": {{"s": {{"$defs": {{{schemas}}}}}}},"#
        ));
        let routes =
            list((0..15_000).map(|n| format!(r#"{{"name":"r{n}","match":{{}},"open":true}}"#)));
        let routes = format!(r#"{{"version": 1, "routes": [{routes}]}}"#);
        for (text, place) in [(schemas, "/schemas/s/$defs/k"), (routes, "/routes/")] {
            let found = problem(&text);
            assert!(
                found.starts_with(place) && found.contains("32 MiB"),
                "{found}"
            );
        }
    }

    #[test]
    fn patterns_may_be_so_much_work() {
        let patterns = |count: usize, same: bool| {
            let each = (0..count).map(|n| {
                let n = if same { 0 } else { n };
                format!(r#"{{"pattern":"^[\\p{{L}}\\p{{N}}_ ,.-]{{1,66}}$|x{n}"}}"#)
            });
            document(&format!(
                r#""schemas": {{"s": {{"allOf": [{}]}}}},"#,
                list(each)
            ))
        };
        let found = problem(&patterns(2000, false));
        assert!(
            found.starts_with("/schemas/s/allOf/") && found.contains("patterns"),
            "{found}"
        );
        for fine in [patterns(150, false), patterns(2000, true)] {
            let engine = Engine::compile(fine.as_bytes()).unwrap();
            assert!(engine.compiled_bytes() < MAX_COMPILED);
            assert!(bound(fine.as_bytes()) < Share::Documents.most());
        }
    }
}
