//! Methods, as documents write them.

use super::lint::every_method;
use portcullis_document::{DidYouMean, Node, Problems, Quoted};
use portcullis_wire::headers::is_token_byte;

/// `GET` stands for `HEAD` as well, which asks for the same without its content (RFC 9110 §9.3.2).
pub fn with_head(mut methods: Vec<String>) -> Vec<String> {
    let has = |name: &str| methods.iter().any(|method| method == name);
    if has("GET") && !has("HEAD") {
        methods.push("HEAD".to_owned());
    }
    methods
}

/// Reports a `head` that says nothing, or the opposite of `methods`.
pub(super) fn report_head(node: &Node<'_>, methods: &[String], problems: &mut Problems) {
    let has = |name: &str| methods.iter().any(|method| method == name);
    let reason = match (has("GET"), has("HEAD")) {
        (_, true) => "`methods` names HEAD already; remove one of them",
        (false, _) => "goes with GET in `methods`, and that does not name it; remove it",
        (true, false) => return,
    };
    node.report(problems, reason);
}

/// A method of a route.
pub(super) fn read_own_method(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let written = node.json().as_str().unwrap_or_default();
    if let Some(reason) = every_method(written) {
        node.report(problems, reason);
        return None;
    }
    read_method(node, problems)
}

/// Whether something that is written as a method is meant to stand for all.
pub fn stands_for_every_method(written: &str) -> bool {
    every_method(written).is_some()
}

/// Reads a method; one of the usual ones must be in upper case.
pub fn read_method(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    const USUAL: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE",
    ];
    let method = node.non_empty(problems)?;
    if !method.bytes().all(is_token_byte) {
        node.report(
            problems,
            format_args!("is not a method{}", DidYouMean(method, USUAL.into_iter())),
        );
        return None;
    }
    let upper = method.to_ascii_uppercase();
    if method != upper && USUAL.contains(&upper.as_str()) {
        node.report(
            problems,
            format_args!("methods are upper case; write {}", Quoted(&upper)),
        );
        return None;
    }
    Some(method.to_owned())
}
