//! A proxy that checks signatures itself, with code that is not the filter's.

use portcullis::host::{Hash, HostScheme, HostVerdict, SignatureCheck};
use portcullis::memory_host::MemoryHost;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use crate::still::still;

/// Its clock stands still, and ring checks signatures, except on P-521, which ring lacks.
pub fn ring_host(now: u64) -> MemoryHost {
    still(now).with_signatures(verify)
}

fn verify(check: SignatureCheck<'_>) -> HostVerdict {
    let Some(algorithm) = algorithm(check.scheme, check.hash) else {
        return HostVerdict::Unavailable;
    };
    let key = UnparsedPublicKey::new(algorithm, subject_public_key(check.public_key));
    match key.verify(check.signed, check.signature) {
        Ok(()) => HostVerdict::Valid,
        Err(_) => HostVerdict::Invalid,
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
