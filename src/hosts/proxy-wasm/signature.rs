//! The proxy's `verify_signature`: BoringSSL in place of wasm code, many times as fast.
//!
//! Envoy has it since 1.30; other hosts may not, or may have something else under that name. So
//! it is believed only for schemes for which it told a good signature from a bad one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::abi;
use portcullis_exchange::host::{Hash, HostScheme, HostVerdict, SignatureCheck};

/// Which schemes the proxy can check.
pub(super) struct Support {
    schemes: Vec<HostScheme>,
}

/// A signature of [`SIGNED`] that is known to be good.
struct Vector {
    scheme: HostScheme,
    hash: Hash,
    public_key: &'static str,
    signature: &'static str,
}

impl Support {
    /// Asks the proxy about known signatures.
    pub(super) fn probe() -> Self {
        let passed = VECTORS
            .iter()
            .filter(|vector| vector.passes() == Some(true));
        Self {
            schemes: passed.map(|vector| vector.scheme).collect(),
        }
    }

    /// Asks the proxy about a signature.
    pub(super) fn verify(&self, check: SignatureCheck<'_>) -> HostVerdict {
        match self.schemes.contains(&check.scheme) {
            true => ask(check),
            false => HostVerdict::Unavailable,
        }
    }
}

impl Vector {
    fn passes(&self) -> Option<bool> {
        let public_key = STANDARD.decode(self.public_key).ok()?;
        let good = STANDARD.decode(self.signature).ok()?;
        let mut bad = good.clone();
        *bad.last_mut()? ^= 1;
        let verdict = |signature: &[u8], signed: &[u8]| {
            let (scheme, hash, public_key) = (self.scheme, self.hash, public_key.as_slice());
            ask(SignatureCheck {
                scheme,
                hash,
                public_key,
                signature,
                signed,
            })
        };
        Some(
            verdict(&good, SIGNED) == HostVerdict::Valid
                && verdict(&bad, SIGNED) == HostVerdict::Invalid
                && verdict(&good, b"something else") == HostVerdict::Invalid,
        )
    }
}

/// Envoy's `VerifySignatureResult` with `result: true` and nothing else; whatever differs from
/// these bytes is no success.
const SUCCESS: [u8; 2] = [0x08, 0x01];

fn ask(check: SignatureCheck<'_>) -> HostVerdict {
    let SignatureCheck {
        scheme: _,
        hash,
        public_key,
        signature,
        signed,
    } = check;
    let hash: &[u8] = match hash {
        Hash::Sha256 => b"sha256",
        Hash::Sha384 => b"sha384",
        Hash::Sha512 => b"sha512",
    };
    // `VerifySignatureArguments`: four length-delimited fields in order.
    let fields = [hash, public_key, signature, signed];
    let total: usize = fields.iter().map(|field| field.len()).sum();
    let mut message = Vec::with_capacity(total.saturating_add(24));
    for (number, field) in (1u8..).zip(fields) {
        message.push(number << 3 | 2);
        push_varint(&mut message, field.len());
        message.extend_from_slice(field);
    }
    match abi::foreign_function("verify_signature", &message) {
        Ok(result) if result == SUCCESS => HostVerdict::Valid,
        Ok(_) => HostVerdict::Invalid,
        Err(_) => HostVerdict::Unavailable,
    }
}

fn push_varint(message: &mut Vec<u8>, mut value: usize) {
    while value > 0x7f {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// What the known signatures sign.
const SIGNED: &[u8] = b"portcullis";

/// One for each scheme, made with keys that were thrown away.
const VECTORS: &[Vector] = &[
    Vector {
        scheme: HostScheme::RsaPkcs1,
        hash: Hash::Sha256,
        public_key: "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEArywkE7Nau20Tkcku+9eFnJPytgZdrMeq08KfYOn/\
        wwEqrfTv81hbdMRaZyGkpjPP0yr/BIOup3WLfRAxxTbeVHz1MZKJuwmuDk/NclmoylMjv+rH2JXHOd1+VW0U\
        VkdvuqxNJc7+E2ToN/Hc7NvHicQlAUKw1qs/SHtxk1GkZtk1QMTNl8A2NG5HYn498RywkF6xGIrbf37CVHg6\
        Do//T8uge4ENZV3LiGot/5e2NSkAIYrMYPIRgSMuGsdKbpWjwR5LLYA/o6vDtM367p2hVDoyra89vFTmM3F8\
        Fx22hBuwK43KNT44SMG3y7+kVs1m+N5LVe81GokGiCeWKK5CdwIDAQAB",
        signature: "QtAOVZcsmu+J4VkQfHpn0oBZwDEyjlPiyzJfPs1m8iBwc2zVlIfJusrPX8zoaPK9HSbTLnAe3qMQP54AtUqu\
        gWecE9py0BMIz5dT5sc+D7HIi6yQFWe05g77V9FfDVkonCYRiXJvEdPl+4Bgc8afglT+t27CJF1uTO8uY2q8\
        8eYayTRxdCuBIJ176eEDE9b7FrzZ22k2EjsbRK5GRpxpw/P4Ksw/1r37PyQZGb5Gjdcyu0Osf2FwzEypOYBo\
        OBfyMYLpmZbor61thUMGf/tgFe7GHpobWTSVoqPNIr8DVOgCQbFVruMUJcrYGmKOM5XzdbHEB1ZHW7V3KzY1\
        2026Bg==",
    },
    Vector {
        scheme: HostScheme::EcdsaP256,
        hash: Hash::Sha256,
        public_key: "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEKzv95voroTWbIdNHUoaGffSBFQ2VcdrwSbhyMxrFzK0W8yco\
        gJbvd+GxsQZsPsudcQZKHs22E/bYNPNFBgYCyA==",
        signature: "MEQCIFvrWXybIEpmUZ0JA6kBavWCtjveffb9GZjcEvzjH034AiAsV68CFRXabqi3lHTpuMBMkuYB81K0J20V\
        eV9n/FJYXg==",
    },
    Vector {
        scheme: HostScheme::EcdsaP384,
        hash: Hash::Sha384,
        public_key: "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEbIY+5NPLnPtAMv7l1iIABPerZiVjGkI7ZVenkZdGCHlrZwwb0BW3\
        KKrjyeWLTC4JzsOp1RXAF2u53uxfIkBHHD0Yqz9tK1fjUu22d5gNzlbYVH2swomrjPqp/2WHTX81",
        signature: "MGQCMHLrQHwA+78TaQ/eLgW0mZftBMYIKjSDaPbtoWcJlghPp2HOqhn54jLj2rsUkMjWvgIwEaMMbQ5Zh8mN\
        wrn1kp5dvyFr+8POI9qftEcpSyIgFtME+NzL+70/qHzVuXcC1rZF",
    },
    Vector {
        scheme: HostScheme::EcdsaP521,
        hash: Hash::Sha512,
        public_key: "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAjBLlZzMOfn3X0CeNEIlPc3e7w+EmZMarwup13xjI1Na+MfFu\
        uvWm+g3AFhds/if4F8/zJkYHcYtEuGo1ygVvfgUBnwZASpEgOt2MX4FKalYM5CIl+3/ounEhIep1fMfSgbcW\
        y+5+hxPPskMY2IO9bcoNPRhrpwOQGh4jGdo2Ack/sb0=",
        signature: "MIGHAkIBF2REsAikgWJdM4GDZu79+dqrX20FtnMGT+2V7USw1KuKZuhjQIotlbX1CSwxSfhxb1Xt+Litq00c\
        2UTjZftt2+0CQUcFB8AuNDNQpdpRuMA9ooCMyW/oEYNDQp+QljwevJntGXlQ9JiYKAaO3bPrQNmf0k7jnRsK\
        TXG9GN3DN1xrsA+d",
    },
];
