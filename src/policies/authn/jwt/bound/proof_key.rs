//! The key that a proof brings with it, RFC 9449 §4.2: it counts only if the token is bound to it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac_sha256::Hash;

use super::super::algorithm::{CHECKS_SIGNATURES, SignatureAlgorithm};
use super::super::ec::{CURVES, Curve, EcKey};
use super::super::ed25519::Ed25519Key;
use super::super::rsa::RsaKey;
use super::super::signature::{SignatureBackend, SignatureResult, VerifyingKey};
use portcullis_exchange::host::Host;
use portcullis_wire::json::compact::Members;

/// A public key as it stands in the header of a proof.
pub(super) struct ProofKey<'p> {
    kind: KeyKind<'p>,
}

/// Its members, as text: base64url.
#[derive(Clone, Copy)]
enum KeyKind<'p> {
    Rsa {
        n: &'p str,
        e: &'p str,
    },
    Ec {
        crv: &'p str,
        x: &'p str,
        y: &'p str,
    },
    Okp {
        crv: &'p str,
        x: &'p str,
    },
}

/// What a proof's signature is said to be.
pub(super) struct ProofSignature<'s> {
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) signed: &'s [u8],
    pub(super) signature: &'s [u8],
}

/// The members that only a private key has, or a secret: RFC 7518 §6.2.2, §6.3.2 and §6.4.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// The one curve of `OKP` keys.
const ED25519: &str = "Ed25519";

impl<'p> ProofKey<'p> {
    /// Reads a JWK. None if it is not public, or of no kind that is known here.
    pub(super) fn read(jwk: Members<'p>) -> Option<Self> {
        if PRIVATE.iter().any(|name| jwk.member(name).is_some()) {
            return None;
        }
        let text = |name| jwk.member(name)?.as_str();
        let kind = match text("kty")? {
            "RSA" => KeyKind::Rsa {
                n: text("n")?,
                e: text("e")?,
            },
            "EC" => KeyKind::Ec {
                crv: text("crv")?,
                x: text("x")?,
                y: text("y")?,
            },
            "OKP" => KeyKind::Okp {
                crv: text("crv")?,
                x: text("x")?,
            },
            _ => return None,
        };
        Some(Self { kind })
    }

    /// Its SHA-256 thumbprint, RFC 7638 §3, in base64url. None if a member is no base64url: such a text could
    /// stand for another object.
    pub(super) fn thumbprint(&self) -> Option<String> {
        let is_plain = |text: &str| {
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            text.bytes().all(is_plain)
        };
        let members: &[(&str, &str)] = match &self.kind {
            KeyKind::Rsa { n, e } => &[("e", e), ("kty", "RSA"), ("n", n)],
            KeyKind::Ec { crv, x, y } => &[("crv", crv), ("kty", "EC"), ("x", x), ("y", y)],
            KeyKind::Okp { crv, x } => &[("crv", crv), ("kty", "OKP"), ("x", x)],
        };
        if !members.iter().all(|(_, text)| is_plain(text)) {
            return None;
        }
        let members: Vec<String> = members
            .iter()
            .map(|(name, text)| format!("\"{name}\":\"{text}\""))
            .collect();
        let text = format!("{{{}}}", members.join(","));
        Some(URL_SAFE_NO_PAD.encode(Hash::hash(text.as_bytes())))
    }

    /// Whether a signature is by it. None if it is no key, or none for the algorithm.
    ///
    /// The proxy reads a key with each signature, and accepts none by a point that is on no curve. So a point is read here
    /// only where the proxy does not say that the signature fits: what comes of it is the same.
    pub(super) fn verify(
        &self,
        of: &ProofSignature<'_>,
        backend: SignatureBackend,
        host: &dyn Host,
    ) -> Option<SignatureResult> {
        let ask = |key: &VerifyingKey, backend| {
            key.verify(of.algorithm, of.signed, of.signature, backend, host)
        };
        if backend != SignatureBackend::Filter
            && let Some(unread) = self.unread(of.algorithm)
        {
            match ask(&unread, SignatureBackend::Proxy) {
                SignatureResult::Valid => return Some(SignatureResult::Valid),
                SignatureResult::Invalid => {
                    let key = self.verifying(of.algorithm);
                    return key.map(|_| SignatureResult::Invalid);
                }
                SignatureResult::Impossible => {}
            }
        }
        let key = self.verifying(of.algorithm)?;
        Some(ask(&key, backend))
    }

    /// A point that the proxy may read.
    fn unread(&self, algorithm: SignatureAlgorithm) -> Option<VerifyingKey> {
        let KeyKind::Ec { crv, x, y } = self.kind else {
            return None;
        };
        let curve = Self::curve(crv, algorithm)?;
        let key = EcKey::unread(curve, &Self::bytes(x)?, &Self::bytes(y)?)?;
        Some(VerifyingKey::Ec(Box::new(key)))
    }

    /// The curve of that name, if that is its algorithm.
    fn curve(name: &str, algorithm: SignatureAlgorithm) -> Option<Curve> {
        let mut curves = CURVES.iter();
        let (_, curve) = curves.find(|(each, _)| *each == name)?;
        (curve.algorithm() == algorithm).then_some(*curve)
    }

    fn bytes(text: &str) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(text).ok()
    }

    /// What checks signatures of that algorithm with it. None if it is no key, or none for that.
    fn verifying(&self, algorithm: SignatureAlgorithm) -> Option<VerifyingKey> {
        let bytes = Self::bytes;
        let key = match self.kind {
            KeyKind::Rsa { n, e } => {
                VerifyingKey::Rsa(Box::new(RsaKey::new(&bytes(n)?, &bytes(e)?)?))
            }
            KeyKind::Ec { crv, x, y } => {
                // Reading a point takes time, which is not taken for another algorithm.
                let curve = Self::curve(crv, algorithm)?;
                VerifyingKey::Ec(Box::new(EcKey::new(curve, &bytes(x)?, &bytes(y)?)?))
            }
            KeyKind::Okp { crv, x } => {
                // A build without it needs no code for it.
                (CHECKS_SIGNATURES && crv == ED25519).then_some(())?;
                VerifyingKey::Ed25519(Box::new(Ed25519Key::new(&bytes(x)?)?))
            }
        };
        key.allows(algorithm).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use p256::ecdsa::signature::Signer as _;

    use super::*;
    use portcullis_wire::json::compact::Compact;

    use portcullis_exchange::host::HostVerdict;
    use portcullis_memory_host::MemoryHost;

    /// What comes of a signature by a key of P-256, and how often the proxy was asked.
    fn verified(
        jwk: &str,
        (signed, signature): (&[u8], &[u8]),
        backend: SignatureBackend,
        verdict: HostVerdict,
    ) -> (Option<SignatureResult>, u32) {
        let asked = Rc::new(Cell::new(0));
        let counted = Rc::clone(&asked);
        let host = MemoryHost::new().with_signatures(move |_| {
            counted.set(counted.get() + 1);
            verdict
        });
        let jwk = Compact::parse(jwk.as_bytes(), 4).unwrap();
        let key = ProofKey::read(jwk.value().as_object().unwrap()).unwrap();
        let of = ProofSignature {
            algorithm: SignatureAlgorithm::Es256,
            signed,
            signature,
        };
        (key.verify(&of, backend, &host), asked.get())
    }

    /// Whether the proxy reads the point or this code does, what is said of it is the same.
    #[test]
    fn a_point_is_read_where_the_proxy_does_not_accept() {
        use SignatureBackend::{Auto, Filter, Proxy};
        use SignatureResult::{Impossible, Invalid, Valid};
        let pair = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
        let good: p256::ecdsa::Signature = pair.sign(b"signed");
        let good = (&b"signed"[..], &good.to_bytes()[..]);
        let bad = (&b"other"[..], good.1);
        let point = pair.verifying_key().to_sec1_point(false);
        let [x, y] = [&point.as_bytes()[1..33], &point.as_bytes()[33..]];
        let mut off = y.to_vec();
        off[31] ^= 1;
        let jwk = |y: &[u8]| {
            let [x, y] = [x, y].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#)
        };
        let (key, off) = (jwk(y), jwk(&off));
        let (accepted, refused, absent) = (
            HostVerdict::Valid,
            HostVerdict::Invalid,
            HostVerdict::Unavailable,
        );
        for (backend, verdict, sent, of_key, of_other, asked) in [
            (Auto, refused, bad, Some(Invalid), None, 1),
            (Proxy, refused, bad, Some(Invalid), None, 1),
            (Filter, refused, bad, Some(Invalid), None, 0),
            (Filter, absent, good, Some(Valid), None, 0),
            (Auto, absent, good, Some(Valid), None, 2),
            (Auto, absent, bad, Some(Invalid), None, 2),
            (Proxy, absent, good, Some(Impossible), None, 2),
        ] {
            let about = format!("{backend:?} {verdict:?}");
            let (found, times) = verified(&key, sent, backend, verdict);
            assert_eq!((found, times), (of_key, asked), "{about}");
            let (found, _) = verified(&off, sent, backend, verdict);
            assert_eq!(found, of_other, "{about}");
        }
        let (found, times) = verified(&key, good, Auto, accepted);
        assert_eq!((found, times), (Some(Valid), 1));
        // A signature of another length is not shown to the proxy.
        let short = (good.0, &good.1[1..]);
        let (found, times) = verified(&key, short, Auto, accepted);
        assert_eq!((found, times), (Some(Invalid), 0));
    }

    fn thumbprint(jwk: &str) -> Option<String> {
        let jwk = Compact::parse(jwk.as_bytes(), 4).unwrap();
        ProofKey::read(jwk.value().as_object()?)?.thumbprint()
    }

    /// RFC 7638 §3.1, RFC 9449 §4.1 and §6.1, RFC 8037 appendix A.3.
    #[test]
    fn thumbprints_are_those_of_the_standards() {
        let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
        assert_eq!(
            thumbprint(rsa).unwrap(),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
        let ec = r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#;
        assert_eq!(
            thumbprint(ec).unwrap(),
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
        );
        let okp =
            r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        assert_eq!(
            thumbprint(okp).unwrap(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn rfc9449_4_3_a_key_that_is_not_public_is_none() {
        let point =
            r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
        assert!(thumbprint(&format!("{{{point}}}")).is_some());
        for private in PRIVATE {
            let jwk = format!(r#"{{{point},"{private}":"AA"}}"#);
            assert_eq!(thumbprint(&jwk), None, "{private}");
        }
        assert_eq!(thumbprint(r#"{"kty":"oct","k":"AAAA"}"#), None);
        assert_eq!(thumbprint(r#"{"kty":"oct"}"#), None);
        assert_eq!(thumbprint("{}"), None);
    }

    #[test]
    fn what_could_stand_for_another_object_has_no_thumbprint() {
        for x in [r#"A\",\"y\":\"B"#, "A=", "A+", "\u{e9}"] {
            let jwk = format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"AA"}}"#);
            assert_eq!(thumbprint(&jwk), None, "{x}");
        }
        // A name of a curve has nothing else in it.
        let jwk = r#"{"kty":"EC","crv":"P-256\"","x":"AA","y":"AA"}"#;
        assert_eq!(thumbprint(jwk), None);
    }
}
