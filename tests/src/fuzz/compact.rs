//! JSON that is kept as flat text, and the same JSON as a tree.

use portcullis::json::Json;
use portcullis::json::compact::{Compact, FACTOR, LONGEST, Value};

const DEPTH: usize = 16;

/// A JSON text. Both readers take it or neither does, and what they read is the same: as a whole,
/// member by member, wherever a pointer leads. The flat text is as short as it is said to be.
/// Whether it was read.
///
/// # Panics
/// When that does not hold.
pub fn compact(text: &[u8]) -> bool {
    if text.len() > LONGEST {
        assert!(Compact::parse(text, DEPTH).is_none());
        return false;
    }
    let (tree, flat) = (Json::parse(text, DEPTH), Compact::parse(text, DEPTH));
    let (tree, flat) = match (tree, flat) {
        (Ok(tree), Some(flat)) => (tree, flat),
        (tree, flat) => {
            assert!(tree.is_err() && flat.is_none(), "{tree:?} {flat:?}");
            return false;
        }
    };
    assert!(flat.size() <= FACTOR * text.len(), "{}", flat.size());
    let members = tree
        .as_object()
        .into_iter()
        .flat_map(|members| members.iter());
    for (name, value) in members {
        same(value, flat.member(name).expect("the tree has it"));
    }
    same(&tree, flat.value());
    reach(&tree, &tree, &flat, &mut Vec::new());
    assert_eq!(flat.value().to_tree(usize::MAX).as_ref(), Some(&tree));
    true
}

fn same(tree: &Json, flat: Value<'_>) {
    assert_eq!(tree.to_string(), flat.to_string());
    match (tree, flat) {
        (Json::Null, Value::Null) => {}
        (Json::Bool(one), Value::Bool(other)) => assert_eq!(*one, other),
        (Json::Number(one), other @ Value::Number(_)) => {
            assert_eq!(Some(one), other.as_number().as_ref());
        }
        (Json::String(one), Value::String(other)) => assert_eq!(one, other),
        (Json::Array(one), Value::Array(other)) => {
            assert_eq!(one.len(), other.iter().count());
            one.iter()
                .zip(other.iter())
                .for_each(|(one, other)| same(one, other));
        }
        (Json::Object(one), Value::Object(other)) => {
            assert_eq!(one.iter().count(), other.iter().count());
            for ((name, one), (same_name, value)) in one.iter().zip(other.iter()) {
                assert_eq!(name, same_name);
                same(one, value);
                same(one, other.member(name).expect("it is a member"));
            }
        }
        (tree, flat) => panic!("{tree:?} {flat:?}"),
    }
}

/// Follows pointers to everything.
fn reach(root: &Json, tree: &Json, flat: &Compact, tokens: &mut Vec<String>) {
    let found = flat.value().pointer(tokens);
    assert_eq!(found.map(|value| value.to_string()), Some(tree.to_string()));
    let inner: Vec<(String, &Json)> = match tree {
        Json::Array(items) => {
            let items = items.iter().enumerate().take(20);
            items
                .map(|(index, item)| (index.to_string(), item))
                .collect()
        }
        Json::Object(members) => {
            let members = members.iter().take(20);
            members
                .map(|(name, value)| (name.to_owned(), value))
                .collect()
        }
        _ => return,
    };
    for token in ["x", "", "00", "+1", "-", "99"] {
        tokens.push(token.to_owned());
        let (one, other) = (root.pointer(tokens), flat.value().pointer(tokens));
        assert_eq!(one.is_some(), other.is_some(), "{tokens:?}");
        tokens.pop();
    }
    for (token, value) in inner {
        tokens.push(token);
        reach(root, value, flat, tokens);
        tokens.pop();
    }
}
