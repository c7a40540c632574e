//! Tags of HMAC-SHA-256 over a message whose body comes in pieces: memory does not grow with it.

use std::hash::Hasher as _;

use hmac_sha256::HMAC;
use jwt_simple::reexports::ct_codecs;
use portcullis_exchange::seed::Hashed;
use siphasher::sip128::SipHasher13;

use super::tags::MOST_TAGS;

/// A tag.
pub(in crate::authn::signed_request) type MacTag = [u8; 32];

/// The tags of a message under each secret, and those that a request claims.
pub(in crate::authn::signed_request) struct MacCheck {
    under_way: Vec<HMAC>,
    claimed: Vec<MacTag>,
    /// Whether a secret could not be had, whose tag one of those may be.
    lacks_secret: bool,
    /// Hashes what is signed. A message may have a tag of each secret, and who has it may send any of them
    /// alone: it is the same message all the same.
    text: Option<SipHasher13>,
}

/// What came of comparing tags.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::authn::signed_request) enum MacResult {
    /// One is right. The hash of what is signed, if there is to be one.
    Valid(Option<Hashed>),
    /// None is.
    Invalid,
    /// None is, and a secret is missing that might make one right.
    Impossible,
}

impl MacCheck {
    /// Before the first byte. `secrets` are those that could be had, of as many as there are; `text` hashes what
    /// is signed.
    pub(super) fn new<'s>(
        secrets: impl Iterator<Item = Option<&'s [u8]>>,
        claimed: Vec<MacTag>,
        text: Option<SipHasher13>,
    ) -> Self {
        let mut check = Self {
            under_way: Vec::new(),
            claimed,
            lacks_secret: false,
            text,
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
        if let Some(text) = &mut self.text {
            text.write(bytes);
        }
    }

    /// Compares all with all, in a time that tells nothing of where they differ.
    pub(in crate::authn::signed_request) fn end(self) -> MacResult {
        let mut is_valid = false;
        for mac in self.under_way {
            let tag = mac.finalize();
            for claimed in &self.claimed {
                is_valid |= ct_codecs::verify(&tag, claimed);
            }
        }
        match (is_valid, self.lacks_secret) {
            (true, _) => MacResult::Valid(self.text.as_ref().map(Hashed::of)),
            (false, true) => MacResult::Impossible,
            (false, false) => MacResult::Invalid,
        }
    }

    /// How many bytes of memory one takes beside its own, of so many secrets.
    pub(super) fn memory_of(secrets: usize) -> usize {
        let macs = secrets.next_power_of_two().max(4);
        let macs = macs.saturating_mul(size_of::<HMAC>());
        // A vector of tags may have grown to twice of what is in it.
        let tags = MOST_TAGS.saturating_mul(2 * size_of::<MacTag>());
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
            let new = |text| {
                let all = secrets.iter().map(|each| Some(*each));
                MacCheck::new(all, others.clone(), text)
            };
            let mut check = new(Some(SipHasher13::new()));
            b"one two three"
                .chunks(4)
                .for_each(|piece| check.update(piece));
            let mut text = SipHasher13::new();
            text.write(b"one two three");
            let hash = Some(Hashed::of(&text));
            assert_eq!(check.end(), MacResult::Valid(hash), "{place}");
            let mut check = new(None);
            check.update(b"one two thre");
            assert_eq!(check.end(), MacResult::Invalid);
        }
        let mut lacking = MacCheck::new([Some(secrets[0]), None].into_iter(), vec![[7; 32]], None);
        lacking.update(b"x");
        assert!(MacCheck::memory_of(2) >= 32 + size_of::<HMAC>());
        assert_eq!(lacking.end(), MacResult::Impossible);
    }
}
