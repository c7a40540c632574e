//! GraphQL documents.

use std::collections::{BTreeMap, BTreeSet};

use graphql_parser::query::{
    Definition, OperationDefinition, Selection, SelectionSet, parse_query,
};
use portcullis::effort::Effort;
use portcullis::formats::graphql::{
    Document, DocumentBounds, DocumentFault, OperationKind, Totals,
};

const TOKENS: u32 = 3000;
/// So many fields are counted one by one.
const MOST_FIELDS: u64 = 100_000;

/// What is accepted, another reader reads as well, and finds the same operations, the same fields of theirs, and,
/// putting each fragment in wherever it stands, the same depth, fields, aliases and directives. Comments, commas
/// and blanks change nothing. With fewer tokens it is refused or comes to the same.
///
/// # Panics
/// When that does not hold.
pub fn graphql(text: &[u8]) -> bool {
    let read = match totals(text, TOKENS) {
        Ok(read) => read,
        Err(DocumentFault::Memory) => panic!("there is memory"),
        Err(_) => return false,
    };
    let spaced = [b"# {\n, \t", text, b"\n,#}"].concat();
    let spaced = spaced.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&spaced);
    if !text.starts_with(b"\xef\xbb\xbf") {
        assert_eq!(totals(spaced, TOKENS).as_ref(), Ok(&read));
    }
    match totals(text, TOKENS / 2) {
        Ok(less) => assert_eq!(less, read),
        Err(fault) => assert_eq!(fault, DocumentFault::Tokens),
    }
    let text = std::str::from_utf8(text).unwrap();
    match parse_query::<String>(text) {
        Ok(theirs) => compare(&theirs.into_static(), &read),
        Err(error) => assert!(is_newer(text), "{error}"),
    }
    true
}

/// What an operation is, with the fields of its own.
type Read = (OperationKind, Option<String>, BTreeSet<String>, Totals);

fn totals(text: &[u8], tokens: u32) -> Result<Vec<Read>, DocumentFault> {
    let effort = Effort::new(10_000_000);
    let bounds = DocumentBounds {
        tokens,
        arguments: &[],
    };
    let document = Document::parse(text, bounds, &effort)?;
    let mut read = Vec::new();
    for operation in document.operations() {
        let totals = document.measure(operation, None, &[], &effort)?;
        let mut fields = BTreeSet::new();
        document.root_fields(operation, &effort, &mut |name| {
            fields.insert(String::from_utf8(name.to_vec()).unwrap());
            Ok(())
        })?;
        let name = operation
            .name()
            .map(|name| String::from_utf8(name.to_vec()).unwrap());
        read.push((operation.kind(), name, fields, totals));
    }
    Ok(read)
}

/// Whether a text has what the other reader, which is of an older edition, does not know: directives of variables,
/// surrogates and numbers of many digits, exponents that begin with 0 or 9, deep nesting.
fn is_newer(text: &str) -> bool {
    let long = text
        .split(|c: char| !c.is_ascii_digit())
        .any(|digits| digits.len() > 17);
    let depth = text.matches(['{', '[']).count() > 40;
    let mut exponents = text.split(['e', 'E']).skip(1);
    let exponent = exponents.any(|rest| rest.starts_with(['0', '9']));
    long || depth
        || exponent
        || text.contains("\\u")
        || text.contains('@') && text.contains('$')
        || !text.is_ascii()
}

type Fragments<'f> = BTreeMap<&'f str, (u64, &'f SelectionSet<'static, String>)>;

fn compare(theirs: &graphql_parser::query::Document<'static, String>, read: &[Read]) {
    let mut fragments: Fragments<'_> = BTreeMap::new();
    for definition in &theirs.definitions {
        if let Definition::Fragment(fragment) = definition {
            let directives = fragment.directives.len() as u64;
            fragments.insert(&fragment.name, (directives, &fragment.selection_set));
        }
    }
    let operations = theirs
        .definitions
        .iter()
        .filter_map(|definition| match definition {
            Definition::Operation(operation) => Some(operation),
            Definition::Fragment(_) => None,
        });
    let operations: Vec<_> = operations.collect();
    assert_eq!(operations.len(), read.len());
    for (operation, (kind, name, fields, totals)) in operations.into_iter().zip(read) {
        let (own, own_name, directives, set) = match operation {
            OperationDefinition::SelectionSet(set) => (OperationKind::Query, None, 0, set),
            OperationDefinition::Query(it) => (
                OperationKind::Query,
                it.name.clone(),
                it.directives.len(),
                &it.selection_set,
            ),
            OperationDefinition::Mutation(it) => (
                OperationKind::Mutation,
                it.name.clone(),
                it.directives.len(),
                &it.selection_set,
            ),
            OperationDefinition::Subscription(it) => (
                OperationKind::Subscription,
                it.name.clone(),
                it.directives.len(),
                &it.selection_set,
            ),
        };
        assert_eq!((own, &own_name), (*kind, name));
        if totals.fields > MOST_FIELDS || totals.directives > MOST_FIELDS {
            continue;
        }
        let mut counted = Totals {
            directives: directives as u64,
            ..Totals::default()
        };
        let (mut roots, mut left) = (BTreeSet::new(), 10 * MOST_FIELDS);
        count(set, &fragments, 1, &mut counted, &mut roots, &mut left);
        if left > 0 {
            assert_eq!((&roots, counted), (fields, *totals));
        }
    }
}

/// Counts one by one, putting fragments in.
fn count(
    set: &SelectionSet<'static, String>,
    fragments: &Fragments<'_>,
    depth: u64,
    totals: &mut Totals,
    roots: &mut BTreeSet<String>,
    left: &mut u64,
) {
    for item in &set.items {
        *left = left.saturating_sub(1);
        if *left == 0 {
            return;
        }
        match item {
            Selection::Field(field) => {
                totals.depth = totals.depth.max(depth);
                totals.fields += 1;
                totals.aliases += u64::from(field.alias.is_some());
                totals.directives += field.directives.len() as u64;
                if depth == 1 {
                    totals.root_fields += 1;
                    roots.insert(field.name.clone());
                }
                let name = field.name.as_str();
                totals.asks_for_schema |=
                    name == "_service" || name.starts_with("__") && name != "__typename";
                count(
                    &field.selection_set,
                    fragments,
                    depth + 1,
                    totals,
                    roots,
                    left,
                );
            }
            Selection::InlineFragment(inline) => {
                totals.directives += inline.directives.len() as u64;
                count(&inline.selection_set, fragments, depth, totals, roots, left);
            }
            Selection::FragmentSpread(spread) => {
                let (own, set) = fragments[spread.fragment_name.as_str()];
                totals.directives += own + spread.directives.len() as u64;
                count(set, fragments, depth, totals, roots, left);
            }
        }
    }
}
