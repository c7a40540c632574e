//! Secrets that a sender and this filter share: in the environment of the VM, never in the document.

use std::cell::OnceCell;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_document::{Node, Problems};
use portcullis_exchange::host::Host;
use portcullis_exchange::section::{EnvironmentFault, Variable};

use crate::authn::secret::EnvironmentSecret;

/// A secret, and how it is written in its variable.
pub(super) struct SharedSecret {
    written: EnvironmentSecret,
    encoding: SecretEncoding,
    read: OnceCell<Option<Box<[u8]>>>,
}

/// How a secret is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SecretEncoding {
    /// It is what stands there, byte for byte, without the end of a line.
    Text,
    Base64,
    Hex,
    /// In base64, with `whsec_` before it or without: Standard Webhooks.
    Whsec,
}

/// The shortest secret, in bytes. Some services make them of 20 to 26 characters; RFC 2104 §3 would have 32.
const LEAST: usize = 16;

const WITHOUT: &str = "what is signed with it is refused with 503";

impl SecretEncoding {
    /// Reads `secret_encoding`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let choices = [
            ("text", SecretEncoding::Text),
            ("base64", SecretEncoding::Base64),
            ("hex", SecretEncoding::Hex),
        ];
        node.choice(problems, &choices)
    }

    /// The bytes of a secret; none if it is not written so.
    fn decode(self, written: &[u8]) -> Option<Vec<u8>> {
        match self {
            SecretEncoding::Text => Some(without_line_end(written).to_vec()),
            SecretEncoding::Base64 => STANDARD.decode(written.trim_ascii()).ok(),
            SecretEncoding::Hex => unhex(written.trim_ascii()),
            SecretEncoding::Whsec => {
                let written = written.trim_ascii();
                let secret = written.strip_prefix(b"whsec_").unwrap_or(written);
                STANDARD.decode(secret).ok()
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            SecretEncoding::Text => "text",
            SecretEncoding::Base64 | SecretEncoding::Whsec => "base64",
            SecretEncoding::Hex => "hexadecimal",
        }
    }
}

impl SharedSecret {
    /// Reads `{ env }`.
    pub(super) fn read(
        node: &Node<'_>,
        encoding: SecretEncoding,
        problems: &mut Problems,
    ) -> Option<Self> {
        Some(Self {
            written: EnvironmentSecret::read(node, problems)?,
            encoding,
            read: OnceCell::new(),
        })
    }

    /// The secret, if it is there and long enough.
    pub(super) fn value(&self, host: &dyn Host) -> Option<&[u8]> {
        let read = || usable(self.written.value(host)?, self.encoding);
        self.read.get_or_init(read).as_deref()
    }

    /// The variable in which it stands.
    pub(super) fn name(&self) -> &str {
        self.written.variable()
    }

    /// What it needs of the environment.
    pub(super) fn variable(&self, signer: &str) -> Variable {
        let place = format!("signer {signer}");
        let encoding = self.encoding;
        Variable::new(place, self.written.variable(), WITHOUT).checked(move |value| {
            let text = match encoding.decode(value) {
                None => format!("is not {}. Until it is, {WITHOUT}", encoding.name()),
                Some(secret) if secret.len() < LEAST => {
                    format!("is too short: it needs {LEAST} bytes at least. Until then {WITHOUT}")
                }
                Some(_) => return None,
            };
            Some(EnvironmentFault {
                is_error: true,
                text,
            })
        })
    }
}

/// Text without the end of its line, which files that are mounted as variables often have.
fn without_line_end(text: &[u8]) -> &[u8] {
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn usable(written: &[u8], encoding: SecretEncoding) -> Option<Box<[u8]>> {
    let secret = encoding.decode(written)?;
    (secret.len() >= LEAST).then(|| secret.into())
}

/// The bytes of hexadecimal digits, two for each.
pub(super) fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let bytes = pairs.iter().map(|pair| {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        u8::try_from(high?.checked_mul(16)?.checked_add(low?)?).ok()
    });
    bytes.collect()
}

/// Nothing of the secret.
impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_memory_host::MemoryHost;

    fn secret(encoding: SecretEncoding) -> SharedSecret {
        SharedSecret {
            written: EnvironmentSecret::new("S".to_owned()),
            encoding,
            read: OnceCell::new(),
        }
    }

    #[test]
    fn a_secret_is_read_as_it_is_written() {
        let plain = b"0123456789abcdef";
        for (encoding, written) in [
            (SecretEncoding::Text, "0123456789abcdef"),
            (SecretEncoding::Text, "0123456789abcdef\n"),
            (SecretEncoding::Text, "0123456789abcdef\r\n"),
            (SecretEncoding::Base64, "MDEyMzQ1Njc4OWFiY2RlZg==\n"),
            (SecretEncoding::Hex, "30313233343536373839616263646566"),
            (SecretEncoding::Whsec, "whsec_MDEyMzQ1Njc4OWFiY2RlZg=="),
            (SecretEncoding::Whsec, "MDEyMzQ1Njc4OWFiY2RlZg=="),
        ] {
            let host = MemoryHost::new().with_variable("S", written);
            assert_eq!(secret(encoding).value(&host), Some(&plain[..]), "{written}");
            assert!(secret(encoding).variable("a").fault(&host).is_none());
        }
    }

    #[test]
    fn a_secret_that_cannot_be_used_is_none() {
        for (encoding, written, fault) in [
            (SecretEncoding::Text, "0123456789abcde", "too short"),
            (SecretEncoding::Base64, "not base64 at all", "is not base64"),
            (SecretEncoding::Base64, "c2hvcnQ=", "too short"),
            (SecretEncoding::Hex, "3031323", "is not hexadecimal"),
            (
                SecretEncoding::Hex,
                "3031323334353637383961626364656x",
                "is not hexadecimal",
            ),
            (SecretEncoding::Whsec, "whsec_", "too short"),
        ] {
            let host = MemoryHost::new().with_variable("S", written);
            let secret = secret(encoding);
            assert_eq!(secret.value(&host), None, "{written}");
            let told = secret.variable("a").fault(&host).unwrap().text;
            assert!(told.contains(fault) && !told.contains(written), "{told}");
        }
        assert_eq!(secret(SecretEncoding::Text).value(&MemoryHost::new()), None);
    }
}
