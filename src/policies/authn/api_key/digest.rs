//! What is kept of keys in place of themselves.

use hmac_sha256::{HMAC, Hash};

use super::table::Digest;
use crate::authn::secret::EnvironmentSecret;
use portcullis_document::{Node, Problems};
use portcullis_exchange::host::Host;
use portcullis_exchange::section::{EnvironmentFault, Variable};
use portcullis_wire::json::Json;

/// How the hash of a key is made.
#[derive(Debug)]
pub(super) enum KeyHash {
    /// SHA-256. Keys have so many random bits that nobody finds one by trying, so there is no need for a
    /// slow hash, nor for a salt.
    Sha256,
    /// HMAC-SHA-256 under a secret of the environment: whoever has the hashes alone cannot even try.
    HmacSha256(EnvironmentSecret),
}

/// The shortest secret, in bytes: as long as what it makes, RFC 2104 §3.
const LEAST_SECRET: usize = 32;

impl KeyHash {
    /// Reads `hash`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        if let Json::String(name) = node.json() {
            let is_plain = name == "sha256";
            if !is_plain {
                node.report(
                    problems,
                    "must be \"sha256\", or {\"hmac_sha256\": {\"env\": \"…\"}}",
                );
            }
            return is_plain.then_some(Self::Sha256);
        }
        let mut fields = node.fields(problems)?;
        let secret = fields
            .required("hmac_sha256", problems)
            .and_then(|node| EnvironmentSecret::read(&node, problems));
        fields.deny_unknown(problems);
        secret.map(Self::HmacSha256)
    }

    /// The hash of a key; none if the environment lacks the secret.
    pub(super) fn of(&self, key: &[u8], host: &dyn Host) -> Option<Digest> {
        match self {
            Self::Sha256 => Some(Hash::hash(key)),
            Self::HmacSha256(secret) => {
                let secret = secret.value(host)?;
                (secret.len() >= LEAST_SECRET).then(|| HMAC::mac(key, secret))
            }
        }
    }

    /// The variable of the environment that it needs.
    pub(super) fn variable(&self, store: &str) -> Option<Variable> {
        let Self::HmacSha256(secret) = self else {
            return None;
        };
        let place = format!("API key store {store}");
        let needed = Variable::new(place, secret.variable(), WITHOUT);
        Some(needed.checked(|value| {
            (value.len() < LEAST_SECRET).then(|| EnvironmentFault {
                is_error: true,
                text: format!(
                    "is too short: HMAC-SHA-256 needs {LEAST_SECRET} bytes at least. Until then {WITHOUT}"
                ),
            })
        }))
    }
}

const WITHOUT: &str = "its keys are refused with 503";

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_memory_host::MemoryHost;

    fn hex(digest: Option<Digest>) -> Option<String> {
        digest.map(|digest| digest.iter().map(|b| format!("{b:02x}")).collect())
    }

    #[test]
    fn hashes_are_those_of_the_tools() {
        // As `printf %s abc | sha256sum` and `openssl dgst -sha256 -hmac …` print them.
        let secret = "0123456789abcdef0123456789abcdef";
        let host = MemoryHost::new()
            .with_variable("SECRET", secret)
            .with_variable("SHORT", "0123456789abcdef");
        assert_eq!(
            hex(KeyHash::Sha256.of(b"abc", &host)).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let keyed = |name: &str| KeyHash::HmacSha256(EnvironmentSecret::new(name.to_owned()));
        assert_eq!(
            hex(keyed("SECRET").of(b"abc", &host)).unwrap(),
            "a60c859a6827c5ea576a48d8d368672fbfe4667c6a927428284a0cb3859cc1d6"
        );
        assert_eq!(keyed("SHORT").of(b"abc", &host), None);
        assert_eq!(keyed("NONE").of(b"abc", &host), None);
        let fault = keyed("SHORT").variable("partners").unwrap().fault(&host);
        assert_eq!(
            fault.unwrap().text,
            "API key store partners: the secret in the environment variable SHORT is too short: HMAC-SHA-256 needs 32 bytes at least. Until then its keys are refused with 503"
        );
    }
}
