//! Numbers for tests that look random and can be repeated.

/// Xorshift.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `end`, or 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }
}
