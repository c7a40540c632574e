//! What is known of a proof of possession that came with a request: RFC 9449.

use portcullis_wire::headers::HeaderValue;

/// What policies have noted of the proofs that came with a request.
#[derive(Clone, Debug, Default)]
pub struct Proofs {
    /// Those that this very request has used up, each by the table in which that was noted and by its mark
    /// there: who judges them again for the same request does not take them for replayed. There are no more than
    /// policies of a route that ask for credentials, and each asks for a few.
    used: Vec<[u64; 4]>,
    /// Whether the signature of the proof was not its key's: who asks again for another provider, who may have
    /// issued the same token, is told so without another check.
    pub is_forged: bool,
    /// The nonce that the client should use from now on.
    pub next_nonce: Option<HeaderValue>,
}

impl Proofs {
    /// Notes that this request has used up a proof.
    pub fn note(&mut self, mark: [u64; 4]) {
        if !self.has(mark) {
            self.used.push(mark);
        }
    }

    /// Whether this request has used it up.
    pub fn has(&self, mark: [u64; 4]) -> bool {
        self.used.contains(&mark)
    }

    /// How many bytes of memory they take.
    pub fn memory(&self) -> usize {
        let marks = self.used.capacity().saturating_mul(size_of::<[u64; 4]>());
        let nonce = self.next_nonce.as_ref();
        marks.saturating_add(nonce.map_or(0, |nonce| nonce.as_bytes().len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_noted_once() {
        let mut proofs = Proofs::default();
        assert!(!proofs.has([1, 2, 3, 4]));
        proofs.note([1, 2, 3, 4]);
        let memory = proofs.memory();
        proofs.note([1, 2, 3, 4]);
        assert!(proofs.has([1, 2, 3, 4]) && !proofs.has([1, 2, 3, 5]));
        assert_eq!(proofs.memory(), memory);
    }
}
