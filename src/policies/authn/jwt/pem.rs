//! Public keys of the document in PEM: RFC 7468, around X.509's `SubjectPublicKeyInfo` (RFC 3279 §2.3, RFC 5480 §2,
//! RFC 8410 §4) or, for RSA, the key alone (RFC 8017, A.1.1).

use jwt_simple::reexports::ct_codecs::{Base64, Decoder as _};

use super::ec::{Curve, EcKey};
use super::ed25519::Ed25519Key;
use super::rsa::RsaKey;
use super::signature::VerifyingKey;
use super::spki::{self, BIT_STRING, INTEGER, SEQUENCE};

/// Reads a key. Its bytes say of which kind it is, whatever the line says that begins them.
pub(super) fn read(pem: &str) -> Option<VerifyingKey> {
    let der = der(pem)?;
    let outer = whole(SEQUENCE, &der)?;
    if outer.first() == Some(&INTEGER) {
        return rsa(&der);
    }
    let (algorithm, rest) = value(SEQUENCE, outer)?;
    // Of the last byte no bit is left over.
    let key = whole(BIT_STRING, rest)?.strip_prefix(&[0])?;
    if algorithm == spki::RSA {
        return rsa(key);
    }
    if algorithm == spki::ED25519 {
        return Ed25519Key::new(key).map(|key| VerifyingKey::Ed25519(Box::new(key)));
    }
    let curve = algorithm.strip_prefix(&spki::EC)?;
    ec(spki::curve(curve)?, key)
}

fn rsa(der: &[u8]) -> Option<VerifyingKey> {
    let (modulus, rest) = integer(whole(SEQUENCE, der)?)?;
    let (exponent, rest) = integer(rest)?;
    if !rest.is_empty() {
        return None;
    }
    RsaKey::new(modulus, exponent).map(|key| VerifyingKey::Rsa(Box::new(key)))
}

/// A point as SEC 1 §2.3.3 has it, in its long form or, where the curve's library reads that, in the short one.
fn ec(curve: Curve, point: &[u8]) -> Option<VerifyingKey> {
    let of = |coordinates: &[u8]| {
        let (x, y) = coordinates.split_at_checked(coordinates.len() / 2)?;
        EcKey::new(curve, x, y).map(|key| VerifyingKey::Ec(Box::new(key)))
    };
    let full = curve.field_bytes().checked_mul(2)?;
    if let Some(coordinates) = point.strip_prefix(&[4]) {
        return (coordinates.len() == full).then(|| of(coordinates))?;
    }
    match curve {
        Curve::P256 => {
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
            of(key.to_sec1_point(false).as_bytes().get(1..)?)
        }
        Curve::P384 => {
            let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
            of(key.to_sec1_point(false).as_bytes().get(1..)?)
        }
        Curve::P521 => {
            let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
            of(key.to_sec1_point(false).as_bytes().get(1..)?)
        }
        Curve::Secp256k1 => None,
    }
}

/// What stands between the two lines, of which there may be one pair; text before them is a comment (RFC 7468 §2).
fn der(pem: &str) -> Option<Vec<u8>> {
    const LINE: &str = "-----";
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once(LINE)?;
    let (body, rest) = rest.split_once("-----END ")?;
    let rest = rest.strip_prefix(label)?.strip_prefix(LINE)?;
    if !rest.trim().is_empty() {
        return None;
    }
    Base64::decode_to_vec(body, Some(b"\r\n\t ")).ok()
}

/// A number that is not negative, in its shortest form (X.690 §8.3), and what stands behind it.
fn integer(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (number, rest) = value(INTEGER, bytes)?;
    let is_shortest = match number {
        [0] => true,
        [0, second, ..] => *second >= 0x80,
        [first, ..] => *first < 0x80,
        [] => false,
    };
    is_shortest.then_some((number, rest))
}

/// What a value holds behind which nothing stands.
fn whole(tag: u8, bytes: &[u8]) -> Option<&[u8]> {
    let (content, rest) = value(tag, bytes)?;
    rest.is_empty().then_some(content)
}

/// What a value holds, and what stands behind it: X.690 §8.1, with the one length that §10.1 leaves.
fn value(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    const LONG: u8 = 0x80;
    let rest = bytes.strip_prefix(&[tag])?;
    let (first, rest) = rest.split_first()?;
    if *first < LONG {
        return rest.split_at_checked(usize::from(*first));
    }
    let (length, rest) = match *first {
        0x81 => {
            let (length, rest) = rest.split_first()?;
            (usize::from(*length), rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        // No key is longer.
        _ => return None,
    };
    let least = if *first == 0x81 { 0x80 } else { 0x100 };
    if length < least {
        return None;
    }
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use jwt_simple::algorithms::{
        ECDSAP256PublicKeyLike as _, ECDSAP384PublicKeyLike as _, ES256KeyPair, ES384KeyPair,
        Ed25519KeyPair, RS256KeyPair, RS256PublicKey,
    };
    use jwt_simple::reexports::ct_codecs::Encoder as _;
    use p521::elliptic_curve::sec1::ToSec1Point as _;
    use p521::pkcs8::EncodePublicKey as _;

    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        let body = Base64::encode_to_string(der).unwrap();
        let lines = body.as_bytes().chunks(64);
        let lines: Vec<&str> = lines.map(|line| str::from_utf8(line).unwrap()).collect();
        let body = lines.join("\n");
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----")
    }

    fn spki(key: &VerifyingKey) -> Vec<u8> {
        match key {
            VerifyingKey::Rsa(key) => key.spki().to_vec(),
            VerifyingKey::Ec(key) => key.spki().to_vec(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn what_the_library_writes_is_read() {
        let rsa = RS256KeyPair::generate(2048).unwrap().public_key();
        let p256 = ES256KeyPair::generate().public_key();
        let p384 = ES384KeyPair::generate().public_key();
        for (text, der) in [
            (rsa.to_pem().unwrap(), rsa.to_der().unwrap()),
            (p256.to_pem().unwrap(), p256.to_der().unwrap()),
            (p384.to_pem().unwrap(), p384.to_der().unwrap()),
        ] {
            let key = read(text.trim()).unwrap();
            assert_eq!(spki(&key), der);
            let with_comment = format!("subject=somebody\n{text}");
            assert!(read(with_comment.trim()).is_some());
            let on_windows = text.trim().replace('\n', "\r\n");
            assert_eq!(spki(&read(&on_windows).unwrap()), der);
        }
        let ed25519 = Ed25519KeyPair::generate().public_key();
        let key = read(ed25519.to_pem().trim());
        assert!(matches!(key, Some(VerifyingKey::Ed25519(_))));
    }

    #[test]
    fn points_are_read_in_their_short_form_too() {
        let mut secret = [1; 66];
        secret[0] = 0;
        let p521 = p521::SecretKey::from_slice(&secret).unwrap().public_key();
        let p256 = ES256KeyPair::generate().public_key();
        let p384 = ES384KeyPair::generate().public_key();
        let of = |curve: &[u8], point: &[u8]| {
            let bits = [&[BIT_STRING, 1 + point.len() as u8, 0], point].concat();
            let algorithm = spki::sequence(&[&spki::EC, curve]);
            read(&pem("PUBLIC KEY", &spki::sequence(&[&algorithm, &bits])))
        };
        let short = p521.to_sec1_point(true);
        let long = p521.to_public_key_der().unwrap().into_vec();
        assert_eq!(spki(&of(&spki::P521, short.as_bytes()).unwrap()), long);
        let short = p256.public_key().to_bytes();
        let long = p256.to_der().unwrap();
        assert_eq!(spki(&of(&spki::P256, &short).unwrap()), long);
        let short = p384.public_key().to_bytes();
        let long = p384.to_der().unwrap();
        assert_eq!(spki(&of(&spki::P384, &short).unwrap()), long);
        // The right point, and the wrong curve.
        assert!(of(&spki::P256, p384.public_key().to_bytes().as_slice()).is_none());
        let k256 = k256::SecretKey::from_slice(&[1; 32]).unwrap().public_key();
        assert!(of(&spki::SECP256K1, k256.to_sec1_point(true).as_bytes()).is_none());
        assert!(of(&spki::SECP256K1, k256.to_sec1_point(false).as_bytes()).is_some());
    }

    #[test]
    fn a_key_of_rsa_may_stand_alone() {
        let key = RS256KeyPair::generate(2048).unwrap().public_key();
        let parts = key.to_components();
        let alone = spki::sequence(&[&spki::integer(&parts.n), &spki::integer(&parts.e)]);
        for label in ["RSA PUBLIC KEY", "PUBLIC KEY"] {
            let read = read(&pem(label, &alone)).unwrap();
            assert_eq!(spki(&read), key.to_der().unwrap());
        }
        assert!(RS256PublicKey::from_pem(&pem("RSA PUBLIC KEY", &alone)).is_ok());
    }

    #[test]
    fn what_is_no_key_is_not_read() {
        let pair = ES256KeyPair::generate();
        let der = pair.public_key().to_der().unwrap();
        let good = pem("PUBLIC KEY", &der);
        assert!(read(&good).is_some());
        assert!(read(&pair.to_pem().unwrap()).is_none());
        for wrong in [
            String::new(),
            format!("{good}\n{good}"),
            format!("{good}\nand more"),
            good.replace("END PUBLIC", "END OTHER"),
            good.replace("-----END PUBLIC KEY-----", ""),
            good.replace('=', ""),
        ] {
            assert!(read(&wrong).is_none(), "{wrong}");
        }
        for end in 0..der.len() {
            assert!(read(&pem("PUBLIC KEY", &der[..end])).is_none(), "{end}");
        }
        let longer = [&der[..], &[0]].concat();
        assert!(read(&pem("PUBLIC KEY", &longer)).is_none());
        // A bit that is changed names another kind, another length, or a point that is on no curve.
        for place in 0..der.len() {
            let mut bad = der.clone();
            bad[place] ^= 0x04;
            let text = pem("PUBLIC KEY", &bad);
            let theirs = jwt_simple::algorithms::ES256PublicKey::from_pem(&text);
            assert_eq!(read(&text).is_some(), theirs.is_ok(), "{place}");
        }
    }

    #[test]
    fn lengths_have_their_shortest_form() {
        assert_eq!(value(4, &[4, 1, 7, 8]), Some((&[7][..], &[8][..])));
        assert_eq!(value(4, &[5, 1, 7]), None);
        assert_eq!(value(4, &[4, 2, 7]), None);
        assert_eq!(value(4, &[4, 0x80, 7]), None);
        assert_eq!(value(4, &[4, 0x81, 1, 7]), None);
        let long = [&[4, 0x81, 0x80][..], &[7; 0x80]].concat();
        assert_eq!(value(4, &long), Some((&[7; 0x80][..], &[][..])));
        let longer = [&[4, 0x82, 0, 0x80][..], &[7; 0x80]].concat();
        assert_eq!(value(4, &longer), None);
        assert_eq!(integer(&[2, 1, 0x80]), None);
        assert_eq!(integer(&[2, 2, 0, 1]), None);
        assert_eq!(integer(&[2, 0]), None);
        assert_eq!(integer(&[2, 1, 0]), Some((&[0][..], &[][..])));
    }
}
