//! What a condition says beside what its author may mean: words of other systems that stand for themselves here.

use super::Condition;
use super::operand::Operand;
use portcullis_document::Quoted;

impl Condition {
    /// What may be meant otherwise, and how that is written; none if it is plain.
    pub fn misreading(&self) -> Option<String> {
        self.check.texts().find_map(|text| self.wildcard(text))
    }

    fn wildcard(&self, text: &str) -> Option<String> {
        let is_of_field = matches!(self.operand, Operand::Header(_) | Operand::Query(_));
        let meant = match (text.strip_suffix('*'), text.strip_prefix('*')) {
            // Other systems write a list with it alone.
            (Some(""), _) if is_of_field && self.check.is_choice() => {
                "{\"exists\": true}".to_owned()
            }
            (Some(rest), _) if is_bare(rest) && !is_type(rest) => {
                format!("{{\"prefix\": {}}}", Quoted(rest))
            }
            (_, Some(rest)) if is_bare(rest) => format!("{{\"suffix\": {}}}", Quoted(rest)),
            _ => return None,
        };
        let meant = match self.check.is_of_lists() {
            // Items of lists are compared whole.
            true => "let `roles` of who vouches make roles of the claim, and test these in `from`"
                .to_owned(),
            false => format!("write {meant}"),
        };
        Some(format!(
            "`*` in {} stands for itself; for whatever is in its place, {meant}",
            Quoted(text)
        ))
    }
}

/// Whether something is left that no `*` is in.
fn is_bare(rest: &str) -> bool {
    rest.contains(char::is_alphanumeric) && !rest.contains('*')
}

/// Whether all of a type is meant, as in `text/*`, which is a value of its own.
fn is_type(rest: &str) -> bool {
    rest.strip_suffix('/')
        .is_some_and(|name| !name.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::super::ACCESS;
    use super::*;
    use portcullis_document::{Node, Problems};
    use portcullis_wire::json::Json;

    fn misreading(written: &str) -> Option<String> {
        let json = Json::parse(written.as_bytes(), 6).unwrap();
        let mut problems = Problems::default();
        let condition = Condition::read(&Node::root(&json), &ACCESS, &mut problems);
        problems.into_result(condition).unwrap().misreading()
    }

    #[test]
    fn words_of_other_systems_are_noted() {
        for (written, meant) in [
            (
                r#"{"header": "x-role", "exact": "admin*"}"#,
                r#"{"prefix": "admin"}"#,
            ),
            (
                r#"{"not": {"claim": "sub", "in": ["a", "*@b.example"]}}"#,
                r#"{"suffix": "@b.example"}"#,
            ),
            (
                r#"{"query": "role", "prefix": "admin*"}"#,
                r#"{"prefix": "admin"}"#,
            ),
            (
                r#"{"header": "x-role", "in": ["*"]}"#,
                r#"{"exists": true}"#,
            ),
            (
                r#"{"claim": "groups", "includes_any": ["admin-*"]}"#,
                "`roles`",
            ),
        ] {
            let found = misreading(written).unwrap_or_default();
            assert!(found.contains(meant), "{written}: {found}");
        }
        for written in [
            r#"{"header": "accept", "exact": "*/*"}"#,
            r#"{"header": "accept", "in": ["text/*", "a"]}"#,
            r#"{"header": "if-match", "exact": "*"}"#,
            r#"{"claim": "permissions", "includes": "*"}"#,
            r#"{"header": "x", "regex": "a.*"}"#,
        ] {
            assert_eq!(misreading(written), None, "{written}");
        }
    }
}
