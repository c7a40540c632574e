//! What is revoked, found by hashes: flat memory, and as many steps however much it is.
//!
//! Of each entry its hash is kept, 128 bits under a secret of this table: nobody can choose a name that comes
//! to the same as another.

use std::hash::{BuildHasher, RandomState};

use crate::authn::leading::{LeadingBits, arrange};

/// By what a credential is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum RevokedName {
    /// `jti` of a token.
    Token,
    /// The subject, of any kind of credential.
    Subject,
    /// The client, of any kind.
    Client,
    /// `kid`, the key that signed a token.
    SigningKey,
    /// The id of an API key.
    ApiKey,
    /// The SHA-256 of a certificate.
    Certificate,
}

impl RevokedName {
    fn bit(self) -> u8 {
        1_u8.checked_shl(self as u32).unwrap_or_default()
    }
}

/// Which credentials of a name are revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// All.
    Ever,
    /// Tokens that were issued before that second.
    Before(u32),
}

/// The most entries of a list.
pub(super) const MOST_ENTRIES: usize = 100_000;

/// What is revoked.
#[derive(Debug)]
pub(super) struct RevocationTable {
    /// In the order of the hashes.
    marks: Box<[Mark]>,
    leading: LeadingBits,
    hashers: Hashers,
    /// Which kinds of names there are.
    names: u8,
    issued_before: Option<u32>,
}

/// An entry: 24 bytes.
#[derive(Clone, Copy, Debug)]
struct Mark {
    hash: [u64; 2],
    since: u32,
}

#[derive(Debug, Default)]
struct Hashers([RandomState; 2]);

/// A table in the making.
#[derive(Debug, Default)]
pub(super) struct RevocationBuilder {
    marks: Vec<Mark>,
    hashers: Hashers,
    names: u8,
    issued_before: Option<u32>,
}

/// [`Since::Ever`]: no token is issued later.
const EVER: u32 = u32::MAX;

impl Hashers {
    fn hash(&self, name: RevokedName, text: &str) -> [u64; 2] {
        let Self([one, other]) = self;
        [one, other].map(|hasher| hasher.hash_one((name, text)))
    }
}

impl Since {
    fn second(self) -> u32 {
        match self {
            Since::Ever => EVER,
            Since::Before(second) => second,
        }
    }

    fn of(second: u32) -> Self {
        match second {
            EVER => Since::Ever,
            second => Since::Before(second),
        }
    }
}

impl RevocationTable {
    /// How many entries it has, those of one name counted once.
    pub(super) fn len(&self) -> usize {
        let times = usize::from(self.issued_before.is_some());
        self.marks.len().saturating_add(times)
    }

    /// Whether it has entries with names of that kind.
    pub(super) fn has(&self, name: RevokedName) -> bool {
        self.names & name.bit() != 0
    }

    /// Which credentials of that name are revoked, if any are.
    pub(super) fn find(&self, name: RevokedName, text: &str) -> Option<Since> {
        self.has(name).then_some(())?;
        let hash = self.hashers.hash(name, text);
        let near = self.marks.get(self.leading.near(first(&hash))?)?;
        let found = near.iter().find(|mark| mark.hash == hash)?;
        Some(Since::of(found.since))
    }

    /// The second before which no token may have been issued, whoever it names.
    pub(super) fn issued_before(&self) -> Option<u32> {
        self.issued_before
    }

    /// How many bytes of memory it takes.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.marks).saturating_add(self.leading.memory())
    }
}

impl RevocationBuilder {
    /// Adds a name.
    pub(super) fn push(&mut self, name: RevokedName, text: &str, since: Since) {
        self.names |= name.bit();
        self.marks.push(Mark {
            hash: self.hashers.hash(name, text),
            since: since.second(),
        });
    }

    /// Revokes all tokens that were issued before a second.
    pub(super) fn push_time(&mut self, second: u32) {
        self.issued_before = self.issued_before.max(Some(second));
    }

    /// How many bytes of memory the table would take.
    pub(super) fn memory(&self) -> usize {
        let each = size_of::<Mark>().saturating_add(size_of::<u32>());
        self.marks.len().saturating_mul(each)
    }

    /// The table. Of two entries of one name the one counts that revokes more.
    pub(super) fn finish(self) -> RevocationTable {
        let order = |one: &Mark, other: &Mark| one.hash.cmp(&other.hash);
        let begins = |mark: &Mark| first(&mark.hash);
        let (mut marks, mut leading) = arrange(&self.marks, begins, order);
        let is_twice = |pair: &[Mark]| matches!(pair, [one, other] if one.hash == other.hash);
        if marks.windows(2).any(is_twice) {
            let mut once = marks.into_vec();
            once.dedup_by(|later, earlier| {
                let is_same = later.hash == earlier.hash;
                if is_same {
                    earlier.since = earlier.since.max(later.since);
                }
                is_same
            });
            (marks, leading) = arrange(&once, begins, order);
        }
        RevocationTable {
            leading,
            marks,
            hashers: self.hashers,
            names: self.names,
            issued_before: self.issued_before,
        }
    }
}

/// How a hash begins, as it is ordered.
fn first([first, _]: &[u64; 2]) -> u32 {
    u32::try_from(first >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_found_and_no_other() {
        for count in [0_u32, 1, 2, 5, 17, 1000] {
            let mut builder = RevocationBuilder::default();
            for each in 0..count {
                builder.push(RevokedName::Token, &format!("t{each}"), Since::Ever);
            }
            let table = builder.finish();
            assert_eq!(table.len(), usize::try_from(count).unwrap());
            for each in 0..count {
                let (token, other) = (format!("t{each}"), format!("x{each}"));
                assert_eq!(table.find(RevokedName::Token, &token), Some(Since::Ever));
                assert_eq!(table.find(RevokedName::Token, &other), None);
                assert_eq!(table.find(RevokedName::Subject, &token), None);
            }
        }
    }

    #[test]
    fn kinds_of_names_are_told_apart() {
        let mut builder = RevocationBuilder::default();
        builder.push(RevokedName::Subject, "a", Since::Ever);
        builder.push(RevokedName::Client, "b", Since::Ever);
        let table = builder.finish();
        assert_eq!(table.find(RevokedName::Subject, "a"), Some(Since::Ever));
        assert_eq!(table.find(RevokedName::Client, "a"), None);
        assert!(table.has(RevokedName::Client) && !table.has(RevokedName::SigningKey));
    }

    #[test]
    fn of_two_entries_of_a_name_the_one_counts_that_revokes_more() {
        let mut builder = RevocationBuilder::default();
        for (text, since) in [
            ("a", Since::Before(7)),
            ("a", Since::Before(9)),
            ("b", Since::Ever),
            ("b", Since::Before(9)),
            ("a", Since::Before(8)),
        ] {
            builder.push(RevokedName::Subject, text, since);
        }
        for second in [5, 9, 7] {
            builder.push_time(second);
        }
        let table = builder.finish();
        assert_eq!(
            table.find(RevokedName::Subject, "a"),
            Some(Since::Before(9))
        );
        assert_eq!(table.find(RevokedName::Subject, "b"), Some(Since::Ever));
        assert_eq!((table.len(), table.issued_before()), (3, Some(9)));
    }

    /// The memory that the reference states.
    #[test]
    fn a_hundred_thousand_entries_take_less_than_thirty_bytes_each() {
        let mut builder = RevocationBuilder::default();
        for place in 0..MOST_ENTRIES {
            builder.push(RevokedName::Token, &format!("token-{place}"), Since::Ever);
        }
        let estimated = builder.memory();
        let table = builder.finish();
        let taken = table.memory();
        assert!(taken <= estimated, "{taken} of {estimated}");
        assert_eq!(taken / MOST_ENTRIES, 25, "{taken}");
        // A look-up goes through so many entries, of however many there are.
        assert!(table.leading.longest() < Some(24));
    }
}
