//! Following `$ref` within an OpenAPI document.

use super::document::{METHODS, Reader};
use portcullis_document::{Node, Problems};
use portcullis_schema::fragment_tokens;
use portcullis_wire::json::Json;

/// How many references may follow one another.
const MAX_REFERENCES: usize = 16;
/// How many paths, parameters, bodies and answers there may be in all, each as often as something
/// refers to it.
pub(super) const MAX_DECLARATIONS: usize = 100_000;

impl<'d> Reader<'d, '_> {
    /// Follows `$ref`.
    pub(super) fn resolve(&mut self, node: &Node<'d>) -> Option<Node<'d>> {
        self.follow(node, |_, _| {})
    }

    /// The same; `look` sees each place with a `$ref` on the way.
    pub(super) fn follow(
        &mut self,
        node: &Node<'d>,
        look: impl Fn(&Node<'d>, &mut Problems),
    ) -> Option<Node<'d>> {
        let left = self.left.checked_sub(1)?;
        self.left = left;
        if left == 0 {
            let reason = format!(
                "has more than {MAX_DECLARATIONS} declarations, counted as often as they are referred to"
            );
            self.root.report(self.problems, reason);
        }
        let mut found = node.clone();
        for _ in 0..MAX_REFERENCES {
            let Some(reference) = found.member("$ref") else {
                return Some(found);
            };
            look(&found, self.problems);
            let target = reference
                .json()
                .as_str()
                .and_then(|text| text.strip_prefix('#'));
            let tokens = target.and_then(fragment_tokens);
            let next = tokens.and_then(|tokens| {
                let root = self.root.clone();
                tokens
                    .iter()
                    .try_fold(root, |node, token| step(&node, token))
            });
            let Some(next) = next else {
                reference.report(
                    self.problems,
                    "leads nowhere: references lead to places in the same document; a bundler makes one of several files",
                );
                return None;
            };
            found = next;
        }
        node.report(self.problems, "refers to itself");
        None
    }
}

/// Reports operations and parameters beside the `$ref` of a path: OpenAPI leaves open what becomes of them.
pub(super) fn report_siblings(item: &Node<'_>, problems: &mut Problems) {
    for name in METHODS.into_iter().chain(["parameters"]) {
        if let Some(sibling) = item.member(name) {
            sibling.report(
                problems,
                "stands beside `$ref`, where OpenAPI leaves open what becomes of it; put it where that leads, or take the `$ref` out",
            );
        }
    }
}

/// What one token of a pointer leads to.
fn step<'d>(node: &Node<'d>, token: &str) -> Option<Node<'d>> {
    let json = node.json().step(token)?;
    let place = match (node.json(), token.parse()) {
        (Json::Array(_), Ok(index)) => node.pointer().item(index),
        _ => node.pointer().member(token),
    };
    Some(Node::at(json, place))
}
