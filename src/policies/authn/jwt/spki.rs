//! Public keys as the proxy takes them: X.509's `SubjectPublicKeyInfo` in DER (RFC 3279 §2.3).

use super::ec::Curve;

/// Tags of X.690.
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const SEQUENCE: u8 = 0x30;

/// `rsaEncryption` and `NULL`.
pub(super) const RSA: [u8; 13] = [
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
/// `ecPublicKey`.
pub(super) const EC: [u8; 9] = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
pub(super) const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
pub(super) const P384: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
pub(super) const P521: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
pub(super) const SECP256K1: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a];
/// `id-Ed25519`, without parameters (RFC 8410 §3).
pub(super) const ED25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];

/// The curve of that name.
pub(super) fn curve(name: &[u8]) -> Option<Curve> {
    let named: [(&[u8], Curve); 4] = [
        (&P256, Curve::P256),
        (&P384, Curve::P384),
        (&P521, Curve::P521),
        (&SECP256K1, Curve::Secp256k1),
    ];
    let found = named.iter().find(|(each, _)| *each == name);
    found.map(|(_, curve)| *curve)
}

/// A key of RSA.
pub(super) fn of_rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = sequence(&[&integer(modulus), &integer(exponent)]);
    sequence(&[&sequence(&[&RSA]), &bits(&key)])
}

/// A key on a curve, its point in the long form. None for a curve that the proxy does not know.
pub(super) fn of_point(curve: Curve, point: &[u8]) -> Option<Vec<u8>> {
    let curve: &[u8] = match curve {
        Curve::P256 => &P256,
        Curve::P384 => &P384,
        Curve::P521 => &P521,
        Curve::Secp256k1 => return None,
    };
    Some(sequence(&[&sequence(&[&EC, curve]), &bits(point)]))
}

/// A big-endian number without the zeros before it.
pub(super) fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// X.690 §8.3: the shortest form, and positive.
pub(super) fn integer(number: &[u8]) -> Vec<u8> {
    let number = significant(number);
    let padding: &[u8] = match number.first() {
        Some(first) if *first < 0x80 => &[],
        _ => &[0],
    };
    tagged(INTEGER, &[padding, number])
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tagged(SEQUENCE, parts)
}

/// Whole bytes: none of the last one's bits is unused.
fn bits(bytes: &[u8]) -> Vec<u8> {
    tagged(BIT_STRING, &[&[0], bytes])
}

/// X.690 §8.1.3: lengths below 128 in one byte, longer ones behind how many bytes they have.
fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    const SHORT: usize = 0x80;
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    let length = significant(&length);
    let mut out = vec![tag];
    if content.len() >= SHORT {
        out.push(0x80 | u8::try_from(length.len()).unwrap_or(0));
    }
    match length {
        [] => out.push(0),
        length => out.extend(length),
    }
    out.extend(content);
    out
}

#[cfg(test)]
mod tests {
    use jwt_simple::algorithms::{
        ECDSAP256PublicKeyLike as _, ECDSAP384PublicKeyLike as _, ES256KeyPair, ES384KeyPair,
        RS256PublicKey,
    };
    use p521::pkcs8::EncodePublicKey as _;

    use super::*;

    #[test]
    fn keys_of_rsa_are_written_as_the_library_writes_them() {
        for bytes in [256, 257, 383, 384, 512] {
            for first in [1, 0x7f, 0x80, 0xff] {
                let mut modulus = vec![0xa5; bytes];
                (modulus[0], modulus[bytes - 1]) = (first, 0x0d);
                let exponent = [1, 0, 1];
                // Too small or too large for it.
                let Ok(key) = RS256PublicKey::from_components(&modulus, &exponent) else {
                    continue;
                };
                let ours = of_rsa(&modulus, &exponent);
                assert_eq!(ours, key.to_der().unwrap(), "{bytes} {first}");
            }
        }
    }

    #[test]
    fn points_are_written_as_the_libraries_write_them() {
        let key = ES256KeyPair::generate().public_key();
        let point = key.public_key().to_bytes_uncompressed();
        assert_eq!(of_point(Curve::P256, &point), key.to_der().ok());
        let key = ES384KeyPair::generate().public_key();
        let point = key.public_key().to_bytes_uncompressed();
        assert_eq!(of_point(Curve::P384, &point), key.to_der().ok());
        let key = p521::SecretKey::from_slice(&[1; 66][..]).unwrap_or_else(|_| {
            let mut small = [1; 66];
            small[0] = 0;
            p521::SecretKey::from_slice(&small).unwrap()
        });
        let key = key.public_key();
        let point = key.to_sec1_bytes();
        let library = key.to_public_key_der().unwrap().into_vec();
        assert_eq!(of_point(Curve::P521, &point), Some(library));
        assert_eq!(of_point(Curve::Secp256k1, &point), None);
    }

    #[test]
    fn numbers_have_their_shortest_form() {
        assert_eq!(integer(&[0, 0, 1]), [2, 1, 1]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[0, 0]), [2, 1, 0]);
        assert_eq!(sequence(&[]), [0x30, 0]);
        assert_eq!(sequence(&[&[7; 0x7f]])[..2], [0x30, 0x7f]);
        assert_eq!(sequence(&[&[7; 0x80]])[..3], [0x30, 0x81, 0x80]);
        assert_eq!(sequence(&[&[7; 0x100]])[..4], [0x30, 0x82, 1, 0]);
    }
}
