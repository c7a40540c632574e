//! Tags of HMAC-SHA-256 over a message whose body comes in pieces: memory does not grow with it.

use hmac_sha256::HMAC;
use jwt_simple::reexports::ct_codecs;

/// A tag.
pub(in crate::authn::signed_request) type MacTag = [u8; 32];

/// The tags of a message under each secret, and those that a request claims.
pub(in crate::authn::signed_request) struct MacCheck {
    under_way: Vec<HMAC>,
    claimed: Vec<MacTag>,
    /// Whether a secret could not be had, whose tag one of those may be.
    lacks_secret: bool,
}

/// What came of comparing tags.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::authn::signed_request) enum MacResult {
    /// One is right: this.
    Valid(MacTag),
    /// None is.
    Invalid,
    /// None is, and a secret is missing that might make one right.
    Impossible,
}

impl MacCheck {
    /// Before the first byte. `secrets` are those that could be had, of as many as there are.
    pub(super) fn new<'s>(
        secrets: impl Iterator<Item = Option<&'s [u8]>>,
        claimed: Vec<MacTag>,
    ) -> Self {
        let mut check = Self {
            under_way: Vec::new(),
            claimed,
            lacks_secret: false,
        };
        for secret in secrets {
            match secret {
                Some(secret) => check.under_way.push(HMAC::new(secret)),
                None => check.lacks_secret = true,
            }
        }
        check
    }

    /// Takes in more of what is signed.
    pub(in crate::authn::signed_request) fn update(&mut self, bytes: &[u8]) {
        self.under_way.iter_mut().for_each(|mac| mac.update(bytes));
    }

    /// Compares all with all, in a time that tells nothing of where they differ.
    pub(in crate::authn::signed_request) fn end(self) -> MacResult {
        let mut valid = None;
        for mac in self.under_way {
            let tag = mac.finalize();
            for claimed in &self.claimed {
                if ct_codecs::verify(&tag, claimed) {
                    valid = Some(tag);
                }
            }
        }
        match (valid, self.lacks_secret) {
            (Some(tag), _) => MacResult::Valid(tag),
            (None, true) => MacResult::Impossible,
            (None, false) => MacResult::Invalid,
        }
    }

    /// How many bytes of memory it takes.
    pub(in crate::authn::signed_request) fn memory(&self) -> usize {
        let macs = self.under_way.capacity().saturating_mul(size_of::<HMAC>());
        let tags = self.claimed.capacity().saturating_mul(size_of::<MacTag>());
        macs.saturating_add(tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_secret_makes_any_tag_right_however_the_body_comes() {
        let secrets = [
            &b"an old secret of some length"[..],
            b"a new secret of some length",
        ];
        for (place, secret) in secrets.iter().enumerate() {
            let tag = HMAC::mac(b"one two three", secret);
            let others = vec![[7; 32], tag, [9; 32]];
            let mut check = MacCheck::new(secrets.iter().map(|each| Some(*each)), others.clone());
            b"one two three"
                .chunks(4)
                .for_each(|piece| check.update(piece));
            assert_eq!(check.end(), MacResult::Valid(tag), "{place}");
            let mut check = MacCheck::new(secrets.iter().map(|each| Some(*each)), others);
            check.update(b"one two thre");
            assert_eq!(check.end(), MacResult::Invalid);
        }
        let mut lacking = MacCheck::new([Some(secrets[0]), None].into_iter(), vec![[7; 32]]);
        lacking.update(b"x");
        assert!(lacking.memory() >= 32 + size_of::<HMAC>());
        assert_eq!(lacking.end(), MacResult::Impossible);
    }
}
