//! A proxy that checks signatures itself, with code that is not the filter's.

use std::time::Duration;

use portcullis::host::{
    CellUnavailable, Counter, Hash, Host, HostScheme, HostVerdict, Mark, Property, SignatureCheck,
    Swap,
};
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use crate::still::Still;

/// Its clock stands still, and ring checks signatures, except on P-521, which ring lacks.
pub struct RingHost {
    still: Still,
}

impl RingHost {
    /// One at that time.
    pub fn at(now: u64) -> Self {
        Self {
            still: Still { now },
        }
    }
}

impl Host for RingHost {
    fn wall_clock(&self) -> Duration {
        #[allow(
            clippy::disallowed_methods,
            reason = "it hands on what it is asked for"
        )]
        self.still.wall_clock()
    }

    fn count(&self, counter: Counter) {
        self.still.count(counter);
    }

    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        self.still.environment(name)
    }

    fn verify_signature(&self, check: SignatureCheck<'_>) -> HostVerdict {
        let Some(algorithm) = algorithm(check.scheme, check.hash) else {
            return HostVerdict::Unavailable;
        };
        let key = UnparsedPublicKey::new(algorithm, subject_public_key(check.public_key));
        match key.verify(check.signed, check.signature) {
            Ok(()) => HostVerdict::Valid,
            Err(_) => HostVerdict::Invalid,
        }
    }

    fn property(&self, property: Property) -> Option<Vec<u8>> {
        self.still.property(property)
    }

    fn cell(&self, key: &str) -> Result<Option<(Vec<u8>, Mark)>, CellUnavailable> {
        self.still.cell(key)
    }

    fn swap_cell(
        &self,
        key: &str,
        seen: Option<Mark>,
        value: &[u8],
    ) -> Result<Swap, CellUnavailable> {
        self.still.swap_cell(key, seen, value)
    }

    fn random(&self) -> u64 {
        self.still.random()
    }
}

fn algorithm(scheme: HostScheme, hash: Hash) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (scheme, hash) {
        (HostScheme::RsaPkcs1, Hash::Sha256) => &signature::RSA_PKCS1_2048_8192_SHA256,
        (HostScheme::RsaPkcs1, Hash::Sha384) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (HostScheme::RsaPkcs1, Hash::Sha512) => &signature::RSA_PKCS1_2048_8192_SHA512,
        (HostScheme::EcdsaP256, Hash::Sha256) => &signature::ECDSA_P256_SHA256_ASN1,
        (HostScheme::EcdsaP384, Hash::Sha384) => &signature::ECDSA_P384_SHA384_ASN1,
        _ => return None,
    })
}

/// The bits that are the last field of a `SubjectPublicKeyInfo`.
fn subject_public_key(spki: &[u8]) -> &[u8] {
    let (_, info) = element(spki).expect("a sequence");
    let (rest, _) = element(info).expect("an algorithm");
    let (_, bits) = element(rest).expect("a bit string");
    // The first byte says how many bits at the end do not count: none.
    &bits[1..]
}

/// What follows an element of DER, and what is in it.
fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, length) = match *der.get(1)? {
        short @ 0..0x80 => (2, usize::from(short)),
        long => {
            let count = usize::from(long & 0x7f);
            let bytes = der.get(2..2 + count)?;
            let length = bytes.iter().fold(0, |sum, b| sum << 8 | usize::from(*b));
            (2 + count, length)
        }
    };
    let content = der.get(head..head + length)?;
    Some((&der[head + length..], content))
}
