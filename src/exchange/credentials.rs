//! Header fields with which the filter asks others, a collector or a provider of keys: mostly
//! credentials, so nothing here prints values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::host::Host;
use portcullis_document::header::is_framing;
use portcullis_document::{Node, Problems};
use portcullis_wire::headers::{HeaderName, HeaderValue};

/// One field.
pub struct Credential {
    name: HeaderName,
    /// As written, or the name of the variable of the VM's environment that holds it.
    value: String,
    in_environment: bool,
}

impl Credential {
    /// Reads `headers`.
    pub fn read_all(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<Self>> {
        let mut all = Vec::new();
        let mut good = true;
        for (name, node) in node.members(problems)? {
            match Self::read(name, &node, problems) {
                Some(read) => all.push(read),
                None => good = false,
            }
        }
        good.then_some(all)
    }

    fn read(name: &str, node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let in_environment = node.json().as_object().is_some();
        let value = if in_environment {
            let mut fields = node.fields(problems)?;
            let variable = fields.required("env", problems);
            fields.deny_unknown(problems);
            variable?.non_empty(problems)?
        } else {
            node.non_empty(problems)?
        };
        let parsed = HeaderName::parse(name);
        match (parsed, HeaderValue::parse(value.as_bytes())) {
            (Err(error), _) | (_, Err(error)) => node.report(problems, error),
            (Ok(name), _) if is_framing(&name) => {
                node.report(problems, "frames or routes messages; it cannot be set");
            }
            (Ok(name), _) if matches!(name.as_str(), "accept" | "content-type") => {
                node.report(problems, "is set by the filter itself");
            }
            (Ok(name), Ok(_)) => {
                return Some(Self {
                    name,
                    value: value.to_owned(),
                    in_environment,
                });
            }
        }
        None
    }

    /// The field's name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// What the document says of its value: that, or the variable that holds it.
    pub fn written(&self) -> &str {
        &self.value
    }

    /// The variable that holds it, if one does.
    pub fn variable(&self) -> Option<&str> {
        self.in_environment.then_some(&self.value)
    }

    /// Name and value; none if the environment has no usable value.
    pub fn field(&self, host: &dyn Host) -> Option<(&str, String)> {
        let value = match self.variable() {
            None => self.value.clone(),
            Some(variable) => {
                let value = host.environment(variable)?;
                HeaderValue::parse(&value).ok()?;
                String::from_utf8(value).ok()?
            }
        };
        Some((self.name.as_str(), value))
    }
}

/// How long a run of bytes is at least by which a part of a credential is known.
const RUN: usize = 6;
/// How much of a text is looked through, and shown at most.
pub const LOOKED_THROUGH: usize = 2048;

/// Whether a text of a peer holds a part of a value that it was asked with: in whatever
/// case, percent-encoded or not, with the scheme in front (`Bearer`) or without it, and for `Basic`
/// also the user and the password themselves.
pub fn tells(said: &str, value: &str) -> bool {
    let said = said.as_bytes();
    let said = said
        .get(..LOOKED_THROUGH)
        .unwrap_or(said)
        .to_ascii_lowercase();
    let decoded = percent_decoded(&said);
    parts(value).iter().any(|part| {
        let run = part.len().min(RUN);
        run > 0
            && part.windows(run).any(|run| {
                let holds = |text: &[u8]| text.windows(run.len()).any(|window| window == run);
                holds(&said) || holds(&decoded)
            })
    })
}

/// What of a value is secret, in lower case.
fn parts(value: &str) -> Vec<Vec<u8>> {
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    let (scheme, secrets) = match words.as_slice() {
        [scheme, rest @ ..] if !rest.is_empty() && is_scheme(scheme) => (*scheme, rest),
        all => ("", all),
    };
    let mut parts: Vec<Vec<u8>> = secrets
        .iter()
        .map(|part| part.as_bytes().to_vec())
        .collect();
    if scheme.eq_ignore_ascii_case("basic")
        && let [encoded] = secrets
        && let Ok(pair) = STANDARD_NO_PAD.decode(encoded.trim_end_matches('='))
    {
        parts.extend(pair.splitn(2, |b| *b == b':').map(<[u8]>::to_vec));
    }
    parts
        .iter_mut()
        .for_each(|part| part.make_ascii_lowercase());
    parts
}

fn is_scheme(word: &str) -> bool {
    word.len() <= 16 && word.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-')
}

/// Without what is not well encoded it is as it was.
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let code = match after {
            [high, low, ..] if *first == b'%' => hexadecimal(*high, *low),
            _ => None,
        };
        match code {
            Some(code) => {
                out.push(code.to_ascii_lowercase());
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

fn hexadecimal(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let code = digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?;
    u8::try_from(code).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_credential_is_known_however_it_is_said() {
        let basic = format!("Basic {}", STANDARD_NO_PAD.encode("user-7:correct horse"));
        for (value, said) in [
            ("Bearer 2e7f11c2a6", "bad token Bearer 2e7f11c2a6"),
            ("Bearer 2e7f11c2a6", "bad token 2e7f11c2a6"),
            ("Bearer 2e7f11c2a6", "no 2E7F11C2A6 here"),
            ("Bearer 2e7f11c2a6", "a token that begins with 2e7f11"),
            ("Bearer 2e7f11c2a6", "%32e7f11%63"),
            ("k-90bd13f7", "(k-90bd13f7)"),
            ("short", "xshortx"),
            (basic.as_str(), "unknown user user-7"),
            (basic.as_str(), "wrong: correct horse"),
        ] {
            assert!(tells(said, value), "{said}");
        }
        for (value, said) in [
            ("Bearer 2e7f11c2a6", "the bearer token has expired"),
            ("Bearer 2e7f11c2a6", "2e7f1 1c2a6"),
            ("k-90bd13f7", "%zz 100%"),
            ("", "anything"),
        ] {
            assert!(!tells(said, value), "{said}");
        }
    }
}
