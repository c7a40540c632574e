//! Proofs of DPoP for the load generator: RFC 9449 has a fresh one for each request.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, thread};

use portcullis_tests::tokens::{self, SigningKey, base64url, thumbprint};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::chain::PATH;
use super::scratch::Scratch;

/// More than any chain answers in a second: one that is used twice is refused, and fails the run.
const A_SECOND: u64 = 40_000;

/// The key that tokens are bound to.
const KEY: &str = "p256-other";

/// Where clients see the service.
pub(super) const SEEN_AS: &str = "http://api.bench.test";

/// A client that makes proofs for one token.
pub(super) struct Proofs {
    key: SigningKey,
    token: String,
    /// The public part of the key, and the hash of the token.
    jwk: Value,
    hash: String,
    /// How many it has made.
    made: AtomicU64,
    file: PathBuf,
}

impl Proofs {
    /// A client with a token that is bound to its key: the claims of a token, with its `cnf`.
    pub(super) fn of(scratch: &Scratch, issuer: &SigningKey, described: Value, now: u64) -> Self {
        let key = SigningKey::named(KEY);
        let jwk = key.jwk();
        let mut described = described;
        described["claims"]["cnf"] = json!({ "jkt": thumbprint(&jwk) });
        let token = tokens::mint_with(issuer, &described, now);
        Self {
            hash: base64url(digest(&SHA256, token.as_bytes()).as_ref()),
            file: scratch.file("proofs"),
            made: AtomicU64::new(0),
            key,
            token,
            jwk,
        }
    }

    /// The token without a proof.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// The token with a proof that was not made before.
    pub(super) fn one(&self, now: u64) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let described = json!({
            "header": { "typ": "dpop+jwt", "jwk": self.jwk },
            "claims": {
                "jti": format!("6f1c2f0e-9b0f-4f3a-8f57-{number:012}"),
                "htm": "GET", "htu": format!("{SEEN_AS}{PATH}"), "iat": now, "ath": self.hash,
            },
        });
        let proof = tokens::mint_with(&self.key, &described, now);
        format!("{} {proof}", self.token)
    }

    /// A file with as many as are sent in so many seconds, one a line.
    pub(super) fn fresh(&self, seconds: u32, now: u64) -> Result<&Path, String> {
        let threads = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let each = A_SECOND.saturating_mul(seconds.into()) / threads;
        let lines = || (0..each).map(|_| self.one(now)).collect::<Vec<_>>();
        let made: Vec<String> = thread::scope(|scope| {
            let parts: Vec<_> = (0..threads).map(|_| scope.spawn(lines)).collect();
            let parts = parts.into_iter().filter_map(|part| part.join().ok());
            parts.flatten().collect()
        });
        let written = fs::write(&self.file, made.join("\n"));
        written.map_err(|error| format!("{}: {error}", self.file.display()))?;
        Ok(&self.file)
    }
}
