//! How much is remembered of verified tokens.

use portcullis_document::{Node, Problems};

/// `jwt_cache: { max_entries, max_token_bytes, max_bytes }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::authn) struct CacheLimits {
    pub(in crate::authn) max_entries: usize,
    pub(in crate::authn) max_token_bytes: usize,
    pub(in crate::authn) max_bytes: usize,
}

/// The most bytes that the caches of a document take unless it says otherwise, all providers
/// together.
const ALL_BY_DEFAULT: usize = 48 << 20;

impl CacheLimits {
    /// 1000 tokens of up to 4 KiB in at most 4 MiB; in less where there are more than twelve
    /// `providers`.
    pub(in crate::authn) fn default_of(providers: usize) -> Self {
        let share = ALL_BY_DEFAULT.checked_div(providers).unwrap_or(usize::MAX);
        Self {
            max_entries: 1000,
            max_token_bytes: 4096,
            max_bytes: share.min(4 << 20),
        }
    }

    /// What is left to a document that another of its name has replaced.
    pub(in crate::authn) fn of_replaced(self) -> Self {
        self.sixteenth()
    }

    /// The part of refused tokens.
    pub(in crate::authn) fn of_refused(self) -> Self {
        self.sixteenth()
    }

    fn sixteenth(self) -> Self {
        const PART: usize = 16;
        Self {
            max_entries: (self.max_entries / PART).max(2),
            max_bytes: self.max_bytes / PART,
            ..self
        }
    }

    /// The part of accepted tokens: all bytes but those of the refused.
    pub(in crate::authn) fn of_accepted(self) -> Self {
        let refused = self.of_refused().max_bytes;
        Self {
            max_bytes: self.max_bytes.saturating_sub(refused),
            ..self
        }
    }

    /// Reads the block; `None` inside for `off`.
    pub(in crate::authn) fn read(
        node: &Node<'_>,
        default: Self,
        problems: &mut Problems,
    ) -> Option<Option<Self>> {
        if node.is_off() {
            return Some(None);
        }
        let mut fields = node.fields(problems)?;
        let mut number = |name, default: usize, most: u64, problems: &mut Problems| {
            fields.or_default(name, default, problems, |node, problems| {
                usize::try_from(node.integer(problems, 2..=most)?).ok()
            })
        };
        let max_entries = number("max_entries", default.max_entries, 100_000, problems);
        let max_token_bytes = number(
            "max_token_bytes",
            default.max_token_bytes,
            16 << 10,
            problems,
        );
        let max_bytes = fields.or_default(
            "max_bytes",
            default.max_bytes,
            problems,
            |node, problems| {
                let bytes = usize::try_from(node.bytes(problems)?).unwrap_or(usize::MAX);
                if !((64 << 10)..=(32 << 20)).contains(&bytes) {
                    node.report(problems, "must be from 64KiB to 32MiB");
                    return None;
                }
                Some(bytes)
            },
        );
        fields.deny_unknown(problems);
        Some(Some(Self {
            max_entries: max_entries?,
            max_token_bytes: max_token_bytes?,
            max_bytes: max_bytes?,
        }))
    }
}
