//! The operations that rules are for, and what the API of a route has of them.

use std::rc::Rc;

use portcullis_document::{DidYouMean, Quoted};
use portcullis_exchange::exchange::ApiOperations;

use super::rule::AccessRule;

/// What is wrong with the operations that these rules name: a rule for one that is not there would say nothing.
pub(super) fn unknown_operations(
    rules: &[Rc<AccessRule>],
    api: Option<&dyn ApiOperations>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut names: Option<Vec<&str>> = None;
    for rule in rules {
        for name in rule.operations() {
            let Some(api) = api else {
                wrong.push(format!(
                    "{} is for operations of an API, and the route has none: add `openapi`, or say `methods` and `paths`",
                    rule.place
                ));
                break;
            };
            let names = names.get_or_insert_with(|| api.names());
            match names.iter().filter(|each| **each == name).count() {
                1 => {}
                0 => {
                    let near = DidYouMean(name, names.iter().copied());
                    wrong.push(format!(
                        "{} is for the operation {}, which the API does not have{near}",
                        rule.place,
                        Quoted(name)
                    ));
                }
                _ => wrong.push(format!(
                    "{} is for the operation {}, and several of the API are called so: name it by method and path, as in \"GET /users/{{id}}\"",
                    rule.place,
                    Quoted(name)
                )),
            }
        }
    }
    wrong
}
