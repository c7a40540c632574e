//! `Content-Digest`, RFC 9530 §2: hashes of a body, compared as it comes.

use hmac_sha256::Hash;
use jwt_simple::reexports::ct_codecs;
use portcullis_wire::structured::{BareItem, Dictionary, Member};
use sha2::{Digest as _, Sha512};

/// The hashes of a body that comes, and those that its head says it has.
pub(in crate::authn::signed_request) struct DigestCheck {
    sha256: Option<(Hash, [u8; 32])>,
    sha512: Option<(Box<Sha512>, [u8; 64])>,
}

/// No digest by an algorithm that is taken: `sha-256` or `sha-512`, RFC 9530 §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::authn::signed_request) struct NoDigest;

impl DigestCheck {
    /// Before the first byte. `value` is that of the field; what other algorithms say is nothing to us.
    pub(super) fn new(value: &[u8]) -> Result<Self, NoDigest> {
        let read = Dictionary::parse(value).map_err(|_| NoDigest)?;
        let sha256 = digest(&read, "sha-256")?.map(|digest| (Hash::new(), digest));
        let sha512 = digest(&read, "sha-512")?.map(|digest| (Box::default(), digest));
        if sha256.is_none() && sha512.is_none() {
            return Err(NoDigest);
        }
        Ok(Self { sha256, sha512 })
    }

    /// Takes in more of the body.
    pub(in crate::authn::signed_request) fn update(&mut self, bytes: &[u8]) {
        if let Some((hash, _)) = &mut self.sha256 {
            hash.update(bytes);
        }
        if let Some((hash, _)) = &mut self.sha512 {
            hash.update(bytes);
        }
    }

    /// Whether the body has all of the hashes.
    pub(in crate::authn::signed_request) fn end(self) -> bool {
        let one = self
            .sha256
            .is_none_or(|(hash, digest)| ct_codecs::verify(&hash.finalize(), &digest));
        let other = self
            .sha512
            .is_none_or(|(hash, digest)| ct_codecs::verify(&hash.finalize(), &digest));
        one && other
    }

    /// How many bytes of memory one takes at most beside its own.
    pub(in crate::authn::signed_request) const fn memory() -> usize {
        size_of::<Sha512>()
    }
}

/// The digest by that algorithm, if there is one; it has the algorithm's size.
fn digest<const SIZE: usize>(
    read: &Dictionary,
    algorithm: &str,
) -> Result<Option<[u8; SIZE]>, NoDigest> {
    match read.member(algorithm) {
        None => Ok(None),
        Some(Member::Item(item)) => match &item.bare {
            BareItem::Bytes(bytes) => {
                let digest = bytes.as_slice().try_into();
                digest.map(Some).map_err(|_| NoDigest)
            }
            _ => Err(NoDigest),
        },
        Some(Member::List(_)) => Err(NoDigest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_good(value: &str, body: &[u8]) -> Result<bool, NoDigest> {
        let mut check = DigestCheck::new(value.as_bytes())?;
        body.chunks(7).for_each(|piece| check.update(piece));
        Ok(check.end())
    }

    /// RFC 9530 §2, appendix A and B.1 to B.3; RFC 9421 §7.2.8 has the second body.
    #[test]
    fn bodies_have_the_digests_of_the_rfc() {
        let (long, plain) = (b"{\"hello\": \"world\"}\n", b"{\"hello\": \"world\"}");
        for (value, body) in [
            (
                "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
                &long[..],
            ),
            (
                "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
                b"",
            ),
            (
                "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
                plain,
            ),
            (
                "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:, sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:, md5=:AA==:",
                plain,
            ),
        ] {
            assert_eq!(is_good(value, body), Ok(true), "{value}");
            assert_eq!(is_good(value, b"{}"), Ok(false), "{value}");
        }
    }

    /// RFC 9530 §2: every digest that is checked has to be right; §5: weak algorithms secure nothing.
    #[test]
    fn a_digest_is_right_in_all_it_says() {
        let half = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:, sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
        assert_eq!(is_good(half, b"{\"hello\": \"world\"}"), Ok(false));
        for wrong in [
            "",
            "md5=:AAAAAAAAAAAAAAAAAAAAAA==:",
            "sha-256=:AAAA:",
            "sha-256=\"RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=\"",
            "sha-256",
            "sha-256=()",
            "SHA-256=RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=",
            "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:, sha-512=:AAAA:",
        ] {
            assert_eq!(is_good(wrong, b""), Err(NoDigest), "{wrong}");
        }
    }
}
