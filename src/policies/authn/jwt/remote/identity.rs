//! What tells one source of keys from another. Workers share keys and the right to ask for them
//! under names that are made of all that decides what comes of it, so that no other document
//! brings its keys here, or keeps this one from asking.

use std::time::Duration;

use hmac_sha256::Hash;

use super::settings::{KeyLocation, Limits, RemoteSource};
use portcullis_exchange::credentials::Credential;

/// The names under which workers share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::authn) struct CellNames {
    /// That of the keys: where they come from, through which cluster, and with which credentials
    /// they are asked for.
    pub(in crate::authn) keys: String,
    /// That of the right to ask: the same, and how often the document asks.
    pub(in crate::authn) lease: String,
}

/// A hash of pieces; no two lists of pieces look alike.
struct Pieces(Hash);

impl Pieces {
    fn add(&mut self, piece: &[u8]) {
        self.0.update((piece.len() as u64).to_le_bytes());
        self.0.update(piece);
    }

    /// Half of it is enough, and no value of a credential can be found out from it by trying
    /// but one that could be guessed anyway.
    fn name(&self) -> String {
        let whole = self.0.finalize();
        whole.iter().take(16).map(|b| format!("{b:02x}")).collect()
    }
}

impl RemoteSource {
    /// The names for a source that is asked with these values.
    pub(in crate::authn) fn names(
        &self,
        value: impl Fn(&Credential) -> Option<String>,
    ) -> CellNames {
        let mut pieces = Pieces(Hash::new());
        pieces.add(self.cluster.as_bytes());
        match &self.place {
            KeyLocation::Known(uri) => pieces.add(uri.to_string().as_bytes()),
            KeyLocation::Discovered(discovery) => {
                pieces.add(discovery.issuer.as_bytes());
                pieces.add(discovery.document.to_string().as_bytes());
                let through = discovery.keys_cluster.as_deref();
                pieces.add(through.unwrap_or_default().as_bytes());
            }
        }
        for credential in &self.credentials {
            pieces.add(credential.name().as_bytes());
            pieces.add(value(credential).unwrap_or_default().as_bytes());
        }
        let keys = pieces.name();
        let Limits {
            timeout,
            cache_duration,
            max_stale,
            cooldown,
        } = self.limits;
        for limit in [timeout, cache_duration, max_stale, cooldown] {
            pieces.add(&Duration::as_nanos(&limit).to_le_bytes());
        }
        CellNames {
            keys,
            lease: pieces.name(),
        }
    }
}
