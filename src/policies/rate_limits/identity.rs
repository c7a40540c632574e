//! The keys of cells: which limits count together, before and after an update of the filter.

use std::rc::Rc;

use super::limit::{Limit, LimitScope};
use super::named::LimitNames;
use super::usage::Usages;
use portcullis_document::{Node, Problems};
use portcullis_wire::json::Json;

/// The keys of the cells of a limit, without the numbers of cells.
fn prefixes(written: &str, is_shared: bool) -> Vec<String> {
    let json = Json::parse(written.as_bytes(), 16).unwrap();
    let mut problems = Problems::default();
    let mut fields = Node::root(&json).fields(&mut problems).unwrap();
    let place = LimitScope {
        section: "defaults",
        name: "each",
        counts: Rc::default(),
        shares: &Rc::default(),
        usages: &Usages::default(),
        is_shared,
    };
    let limit = Limit::read(&mut fields, &place, &LimitNames::default(), &mut problems);
    fields.deny_unknown(&mut problems);
    let limit = problems
        .into_result(limit)
        .unwrap_or_else(|error| panic!("{error}"));
    limit
        .tables()
        .map(|table| table.prefix().to_owned())
        .collect()
}

/// INVARIANT: these are the keys of the documents of all versions. With others, an update of the
/// filter would give every caller a full bucket.
#[test]
fn the_same_document_has_the_same_cells() {
    let bucket =
        r#""token_bucket": {"max_tokens": 10, "tokens_per_fill": 3, "fill_interval": "1s"}"#;
    let window = r#""sliding_window": {"requests": 10, "per": "60s"}"#;
    let tiers = r#""tiers": [
        {"when": {"claim": "plan", "exact": "gold", "ignore_case": true}, "token_bucket": {"max_tokens": 100, "fill_interval": "1s"}},
        {"when": {"header": "x-plan", "regex": "a|b"}, "sliding_window": {"requests": 5, "per": "1h"}},
        {"when": {"authenticated": false}, "unlimited": true}
    ]"#;
    let cost = r#""cost": {"response_header": "x-cost", "default": 2}"#;
    let documents = [
        (format!(r#"{{"key": ["client_address"], {bucket}}}"#), false),
        (format!(r#"{{"key": ["client_address"], {bucket}}}"#), true),
        (
            format!(r#"{{"key": ["client_address"], {bucket}, {cost}}}"#),
            false,
        ),
        (
            format!(r#"{{"key": ["subject", {{"claim": "/a/b"}}], {window}, {tiers}}}"#),
            false,
        ),
        (
            format!(
                r#"{{"key": [], {window}, "max_entries": 7, "charge": {{"on_status": ["5xx"]}}}}"#
            ),
            true,
        ),
    ];
    let found = documents
        .iter()
        .flat_map(|(written, is_shared)| prefixes(written, *is_shared));
    let found: Vec<String> = found.collect();
    // The second and the third say the same: what costs become known afterwards can be owed.
    let expected = [
        "limits/fccdb8418faee22feacd5c3bdc961f11/",
        "limits/8201c76eb2cf23866125ed586822885f/",
        "limits/8201c76eb2cf23866125ed586822885f/",
        "limits/61f201d9da1be98cee1cbdcb3581ab20/",
        "limits/3bae4c3cc1855429f189bee38bc08c0b/",
        "limits/0f9ee56c5463840e2899ee9a1cb2d13d/",
        "limits/a6f1be7948759c096226192bb99c5b9c/",
    ];
    assert_eq!(found, expected);
}
