//! Keys that are points of a curve, and ECDSA signatures as JOSE writes them.

use k256::elliptic_curve::point::AffineCoordinates as _;
use p256::ecdsa::signature::Verifier as _;

use super::algorithm::{CHECKS_SIGNATURES, SignatureAlgorithm};
use super::spki;
use portcullis_exchange::host::{Hash, HostScheme};

/// A curve; it fixes the algorithm and its hash (RFC 7518 §3.4, RFC 8812 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
    Secp256k1,
}

/// A public key on a curve.
pub(super) struct EcKey {
    point: Point,
    /// As the proxy takes it; empty where the proxy does not know the curve.
    spki: Vec<u8>,
}

enum Point {
    /// Left to the proxy, which reads it at each signature and accepts none by what is on no curve.
    Unread(Curve),
    P256(Box<p256::ecdsa::VerifyingKey>),
    P384(Box<p384::ecdsa::VerifyingKey>),
    P521(Box<p521::ecdsa::VerifyingKey>),
    Secp256k1(Box<k256::ecdsa::VerifyingKey>),
}

/// Every curve with its name in a JWK.
pub(super) const CURVES: [(&str, Curve); 4] = [
    ("P-256", Curve::P256),
    ("P-384", Curve::P384),
    ("P-521", Curve::P521),
    ("secp256k1", Curve::Secp256k1),
];

impl Curve {
    /// The size of a coordinate, and of each of a signature's two numbers.
    pub(super) fn field_bytes(self) -> usize {
        match self {
            Curve::P256 | Curve::Secp256k1 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }

    /// The size of the field.
    pub(super) fn field_bits(self) -> usize {
        match self {
            Curve::P521 => 521,
            _ => self.field_bytes().saturating_mul(8),
        }
    }

    /// Its name in a JWK.
    pub(super) fn name(self) -> &'static str {
        let named = CURVES.iter().find(|(_, curve)| *curve == self);
        named.map_or("", |(name, _)| name)
    }

    /// The one algorithm of its keys.
    pub(super) fn algorithm(self) -> SignatureAlgorithm {
        match self {
            Curve::P256 => SignatureAlgorithm::Es256,
            Curve::P384 => SignatureAlgorithm::Es384,
            Curve::P521 => SignatureAlgorithm::Es512,
            Curve::Secp256k1 => SignatureAlgorithm::Es256k,
        }
    }

    /// How the proxy calls its signatures; none for a curve that BoringSSL lacks.
    pub(super) fn host_scheme(self) -> Option<(HostScheme, Hash)> {
        match self {
            Curve::P256 => Some((HostScheme::EcdsaP256, Hash::Sha256)),
            Curve::P384 => Some((HostScheme::EcdsaP384, Hash::Sha384)),
            Curve::P521 => Some((HostScheme::EcdsaP521, Hash::Sha512)),
            Curve::Secp256k1 => None,
        }
    }
}

impl EcKey {
    /// The point with these coordinates. `None` when there is no such point.
    pub(super) fn new(curve: Curve, x: &[u8], y: &[u8]) -> Option<Self> {
        let full = curve.field_bytes();
        let point = long_form(curve, x, y)?;
        let spki = spki::of_point(curve, &point).unwrap_or_default();
        let point = match curve {
            _ if !CHECKS_SIGNATURES => Point::Unread(curve),
            Curve::P256 => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok()?;
                Point::P256(Box::new(key))
            }
            Curve::P384 => {
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok()?;
                Point::P384(Box::new(key))
            }
            Curve::P521 => {
                let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok()?;
                Point::P521(Box::new(key))
            }
            Curve::Secp256k1 => {
                // Reading a point in its short form takes 26 KB of code, and a JWK has the long one.
                let (x, y) = point.get(1..)?.split_at_checked(full)?;
                let (x, y) = (x.try_into().ok()?, y.try_into().ok()?);
                let point = k256::AffinePoint::from_coordinates(x, y);
                let key = k256::ecdsa::VerifyingKey::from_affine(point.into_option()?).ok()?;
                Point::Secp256k1(Box::new(key))
            }
        };
        Some(Self { point, spki })
    }

    /// The same for the proxy alone, which says itself whether there is such a point. `None` for a curve that it does not
    /// know.
    pub(super) fn unread(curve: Curve, x: &[u8], y: &[u8]) -> Option<Self> {
        let spki = spki::of_point(curve, &long_form(curve, x, y)?)?;
        Some(Self {
            point: Point::Unread(curve),
            spki,
        })
    }

    pub(super) fn curve(&self) -> Curve {
        match self.point {
            Point::Unread(curve) => curve,
            Point::P256(_) => Curve::P256,
            Point::P384(_) => Curve::P384,
            Point::P521(_) => Curve::P521,
            Point::Secp256k1(_) => Curve::Secp256k1,
        }
    }

    /// The key as an X.509 `SubjectPublicKeyInfo`.
    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Whether `signature`, JOSE's `r‖s`, is one of `signed`.
    pub(super) fn verify(&self, signed: &[u8], signature: &[u8]) -> bool {
        match &self.point {
            Point::Unread(_) => false,
            Point::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
            Point::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
            Point::P521(key) => p521::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
            // The library asks for the lower of the two values that `s` can have, a rule of
            // Bitcoin; RFC 8812 knows no such rule.
            Point::Secp256k1(key) => k256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(signed, &signature.normalize_s()).is_ok()),
        }
    }
}

/// A point as SEC 1 §2.3.3 has it.
///
/// RFC 7518 §6.2.1.2 asks for the full size of the field. Issuers are about that strip leading
/// zeros all the same; the number is the same, so that is taken.
fn long_form(curve: Curve, x: &[u8], y: &[u8]) -> Option<Vec<u8>> {
    let zeros = |number: &[u8]| Some(vec![0; curve.field_bytes().checked_sub(number.len())?]);
    Some([&[4][..], &zeros(x)?, x, &zeros(y)?, y].concat())
}

/// JOSE's `r‖s` (RFC 7518 §3.4) as the `ECDSA-Sig-Value` of RFC 3279 §2.2.3. `None` when it does
/// not have the length that the curve demands.
pub(super) fn signature_to_der(curve: Curve, signature: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(curve.field_bytes())?;
    if s.len() != curve.field_bytes() {
        return None;
    }
    Some(spki::sequence(&[&spki::integer(r), &spki::integer(s)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_become_der() {
        let mut signature = [0; 64];
        signature[31] = 1;
        signature[32] = 0x80;
        let der = signature_to_der(Curve::P256, &signature).unwrap();
        assert_eq!(der[..8], [0x30, 38, 2, 1, 1, 2, 33, 0]);
        let zero = signature_to_der(Curve::P256, &[0; 64]).unwrap();
        assert_eq!(zero, [0x30, 6, 2, 1, 0, 2, 1, 0]);
        let long = signature_to_der(Curve::P521, &[0xff; 132]).unwrap();
        assert_eq!((long.len(), &long[..3]), (141, &[0x30, 0x81, 138][..]));
        for wrong in [0, 1, 63, 65, 96] {
            assert_eq!(signature_to_der(Curve::P256, &vec![1; wrong]), None);
        }
    }
}
