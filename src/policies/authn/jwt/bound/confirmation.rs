//! What a token is bound to: its `cnf`, RFC 7800 §3.1.

use portcullis_wire::json::compact::Value;

/// What whoever sends the token has to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Confirmation<'c> {
    /// The thumbprint of a key, RFC 9449 §6.1.
    pub(super) key: Option<&'c str>,
    /// The thumbprint of a certificate, RFC 8705 §3.1.
    pub(super) certificate: Option<&'c str>,
    /// Whether it names anything at all.
    pub(super) is_there: bool,
}

/// It is no object, or what it says of a key or a certificate is no SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The claim.
pub(super) const CLAIM: &str = "cnf";
/// Base64url of 32 bytes.
const LENGTH: usize = 43;

impl<'c> Confirmation<'c> {
    /// Reads the claim of an accepted token, if there is one.
    pub(super) fn of(claim: Option<Value<'c>>) -> Result<Self, Unreadable> {
        let members = match claim {
            None => return Ok(Self::default()),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(Unreadable),
        };
        let thumbprint = |name| match members.member(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() == LENGTH => Ok(Some(text)),
            Some(_) => Err(Unreadable),
        };
        Ok(Self {
            key: thumbprint("jkt")?,
            certificate: thumbprint("x5t#S256")?,
            is_there: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::json::compact::Compact;

    #[test]
    fn what_is_named_is_read_or_refused() {
        let print = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        let of = |cnf: &str| {
            let claims = format!(r#"{{"sub":"a"{cnf}}}"#);
            let claims = Compact::parse(claims.as_bytes(), 8).unwrap();
            let read = Confirmation::of(claims.member(CLAIM));
            read.map(|read| {
                (
                    read.key.is_some(),
                    read.certificate.is_some(),
                    read.is_there,
                )
            })
        };
        assert_eq!(of(""), Ok((false, false, false)));
        assert_eq!(of(r#","cnf":{}"#), Ok((false, false, true)));
        assert_eq!(of(r#","cnf":{"kid":"x"}"#), Ok((false, false, true)));
        let jkt = format!(r#","cnf":{{"jkt":"{print}"}}"#);
        assert_eq!(of(&jkt), Ok((true, false, true)));
        let both = format!(r#","cnf":{{"x5t#S256":"{print}","jkt":"{print}","a":1}}"#);
        assert_eq!(of(&both), Ok((true, true, true)));
        for wrong in [
            r#","cnf":null"#,
            r#","cnf":"x""#,
            r#","cnf":[]"#,
            r#","cnf":{"jkt":null}"#,
            r#","cnf":{"jkt":""}"#,
            r#","cnf":{"jkt":["x"]}"#,
            r#","cnf":{"x5t#S256":1}"#,
            r#","cnf":{"x5t#S256":"0ZcOCORZNYy"}"#,
        ] {
            assert_eq!(of(wrong), Err(Unreadable), "{wrong}");
        }
    }
}
