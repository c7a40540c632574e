//! An entry of a list as a document or a service writes it.

use portcullis_document::{Node, Problems};

use super::table::{RevocationBuilder, RevokedName, Since};
use crate::authn::exposed::{has_shape, is_token};
use crate::authn::moment::{Rounding, read_moment};
use portcullis_wire::xfcc::is_sha256;

/// The fields that name what is revoked.
const FIELDS: [(&str, RevokedName); 6] = [
    ("jti", RevokedName::Token),
    ("sub", RevokedName::Subject),
    ("client", RevokedName::Client),
    ("kid", RevokedName::SigningKey),
    ("key_id", RevokedName::ApiKey),
    ("certificate", RevokedName::Certificate),
];

/// The longest name, in bytes.
const LONGEST: usize = 1024;

impl RevokedName {
    /// The field that it stands in, and the word in the log.
    pub(super) fn field(self) -> &'static str {
        let found = FIELDS.iter().find(|(_, name)| *name == self);
        found.map_or("", |(field, _)| field)
    }

    /// Whether tokens alone have such a name, and some of them may be revoked and others not.
    fn takes_time(self) -> bool {
        match self {
            RevokedName::Subject | RevokedName::Client | RevokedName::SigningKey => true,
            RevokedName::Token | RevokedName::ApiKey | RevokedName::Certificate => false,
        }
    }
}

/// Reads `{ jti, sub, client, kid, key_id, certificate, issued_before }`, of which the last may stand beside
/// one of the others or alone, and adds it.
pub(super) fn read_entry(
    builder: &mut RevocationBuilder,
    node: &Node<'_>,
    problems: &mut Problems,
) -> Option<()> {
    let mut fields = node.object(problems, "{\"jti\": \"…\"}")?;
    let mut named = None;
    let mut good = true;
    for (field, name) in FIELDS {
        let Some(value) = fields.optional(field) else {
            continue;
        };
        if named.is_some() {
            value.report(problems, "is a second name; make it an entry of its own");
            good = false;
        }
        let text = read_text(&value, name, problems);
        good &= text.is_some();
        named = named.or(Some((name, text.unwrap_or_default())));
    }
    let time = fields.optional("issued_before");
    // Of a second, all of it is revoked or none.
    let before = time
        .as_ref()
        .map(|node| read_moment(node, Rounding::Up, "", problems));
    if named.is_none() && time.is_none() {
        let mut names: Vec<&str> = FIELDS.iter().map(|(field, _)| *field).collect();
        names.push("issued_before");
        let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        fields.lacks(
            &names,
            problems,
            format_args!("revokes nothing; it needs one of {}", listed.join(", ")),
        );
        good = false;
    }
    if let (Some(node), Some((name, _))) = (&time, &named)
        && !name.takes_time()
    {
        node.report(
            problems,
            "stands alone or beside `sub`, `client` or `kid`: what the others name is issued once",
        );
        good = false;
    }
    fields.deny_unknown(problems);
    let since = match before {
        None => Since::Ever,
        Some(before) => Since::Before(before?),
    };
    good.then_some(())?;
    match (named, since) {
        (Some((name, text)), since) => builder.push(name, &text, since),
        (None, Since::Before(second)) => builder.push_time(second),
        (None, Since::Ever) => return None,
    }
    Some(())
}

/// What a text is if it is no name of a credential but the credential.
fn exposed(text: &str) -> Option<&'static str> {
    if has_shape(text) {
        return Some("is a key itself, not its id");
    }
    is_token(text).then_some("is a token itself, not its id")
}

fn read_text(node: &Node<'_>, name: RevokedName, problems: &mut Problems) -> Option<String> {
    let text = node.non_empty(problems)?;
    if let Some(what) = exposed(text) {
        node.report(
            problems,
            format_args!(
                "{what}, and revokes nothing here, where everybody can read it: replace it, and write what names it; `key_id` is the `id` of a key's entry, `jti` a claim of a token"
            ),
        );
        return None;
    }
    if name == RevokedName::Certificate {
        let digest: String = text.split(':').collect();
        if !is_sha256(&digest) {
            node.report(
                problems,
                "must be the SHA-256 of a certificate in DER: 64 hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256` prints them",
            );
            return None;
        }
        return Some(digest.to_ascii_lowercase());
    }
    if text.len() > LONGEST {
        node.report(problems, format_args!("has more than {LONGEST} bytes"));
        return None;
    }
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::json::Json;

    fn problems_of(entry: &str) -> Vec<String> {
        let json = Json::parse(entry.as_bytes(), 8).unwrap();
        let mut problems = Problems::default();
        let read = read_entry(
            &mut RevocationBuilder::default(),
            &Node::root(&json),
            &mut problems,
        );
        match problems.into_result(read) {
            Ok(()) => Vec::new(),
            Err(error) => error.problems.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn one_name_or_a_time_or_both() {
        let hash = "0123456789abcdefABCDEF0123456789abcdefABCDEF0123456789abcdefABCD";
        for fine in [
            r#"{"jti":"a"}"#,
            r#"{"sub":"a"}"#,
            r#"{"sub":"a","issued_before":7}"#,
            r#"{"client":"a","issued_before":"2027-01-01T00:00:00Z"}"#,
            r#"{"kid":"a","issued_before":4294967295}"#,
            r#"{"issued_before":0}"#,
            r#"{"key_id":"a"}"#,
            &format!(r#"{{"certificate":"{hash}"}}"#),
        ] {
            assert_eq!(problems_of(fine), [""; 0], "{fine}");
        }
        for (wrong, problem) in [
            ("{}", "document: revokes nothing; it needs one of"),
            (r#"{"jti":""}"#, "/jti: must not be empty"),
            (r#"{"jti":7}"#, "/jti: must be a string"),
            (r#"{"jti":"a","sub":"b"}"#, "/sub: is a second name"),
            (
                r#"{"jti":"a","issued_before":7}"#,
                "/issued_before: stands alone",
            ),
            (
                r#"{"sub":"a","issued_before":-1}"#,
                "/issued_before: must be",
            ),
            (r#"{"sub":"a","issued_before":"x"}"#, "/issued_before: must"),
            (
                r#"{"certificate":"aa:bb"}"#,
                "/certificate: must be the SHA-256",
            ),
            (r#"{"sub":"a","reason":"b"}"#, "/reason: unknown field"),
        ] {
            let found = problems_of(wrong);
            let [only] = &found[..] else {
                panic!("{wrong}: {found:?}");
            };
            assert!(only.starts_with(problem), "{only}");
        }
        let key = "pk_live_Mz3hF4y8BNQrZ4dA5QYjSnvKxb21f1tqW";
        for (field, secret, what) in [
            ("key_id", key, "a key"),
            ("jti", "eyJhbGciOiJub25lIn0.e30.c2ln", "a token"),
            ("sub", key, "a key"),
        ] {
            let found = problems_of(&format!(r#"{{"{field}":"{secret}"}}"#));
            let [only] = &found[..] else {
                panic!("{field}: {found:?}");
            };
            let begins = format!("/{field}: is {what} itself, not its id");
            assert!(
                only.starts_with(&begins) && !only.contains(secret),
                "{only}"
            );
        }
        let long = format!(r#"{{"sub":"{}"}}"#, "a".repeat(1025));
        assert_eq!(problems_of(&long), ["/sub: has more than 1024 bytes"]);
    }
}
