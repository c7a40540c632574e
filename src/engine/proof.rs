//! Which documents this build has compiled before, as all workers of a proxy know it.
//!
//! Envoy tries a new document in a VM of its own before it gives it to the workers. What was found
//! there need not be found again while a worker configures, where a trap would leave the filter out
//! of the chain: a worker that finds the proof takes the document and compiles it later, where a trap
//! refuses. The proofs stand in one shared cell, a ring of digests. One that was pushed out costs a
//! worker nothing but the early compilation.
//!
//! A digest covers the build as well as the document, so that another build, which may refuse what
//! this one accepts, finds nothing. Others who may write the cell can have a document accepted that
//! no worker can then compile: that refuses requests, and passes none.

/// The shared cell.
pub const CELL: &str = "portcullis/1/compiled";

/// How many documents are remembered.
const MOST: usize = 64;

/// Half a SHA-256.
pub type Digest = [u8; 16];

/// The digest of a document for this build.
pub fn digest(document: &[u8]) -> Digest {
    let mut hash = hmac_sha256::Hash::new();
    hash.update(env!("PORTCULLIS_BUILD"));
    hash.update(document);
    let whole = hash.finalize();
    let mut half = Digest::default();
    for (to, from) in half.iter_mut().zip(whole) {
        *to = from;
    }
    half
}

/// Whether a document is among those of the cell, whichever VM wrote that.
pub fn holds(cell: &[u8], digest: &Digest) -> bool {
    entries(cell).any(|entry| entry == digest)
}

/// The cell with one more document, the oldest left out if there are too many.
pub fn with(cell: &[u8], digest: &Digest) -> Vec<u8> {
    let others = entries(cell).filter(|entry| *entry != digest);
    let kept = others.take(MOST.saturating_sub(1));
    let mut ring = digest.to_vec();
    kept.for_each(|entry| ring.extend_from_slice(entry));
    ring
}

/// The entries of a cell, the newest first; none of what is no ring.
fn entries(cell: &[u8]) -> impl Iterator<Item = &Digest> {
    let (entries, rest) = cell.as_chunks::<{ size_of::<Digest>() }>();
    let entries = if rest.is_empty() { entries } else { &[] };
    entries.iter().take(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered() {
        let digests: Vec<Digest> = (0..100).map(|n: u32| digest(&n.to_le_bytes())).collect();
        let ring = digests
            .iter()
            .fold(Vec::new(), |ring, each| with(&ring, each));
        assert_eq!(ring.len(), MOST * 16);
        let held = digests.iter().map(|each| holds(&ring, each));
        assert_eq!(
            held.collect::<Vec<_>>(),
            [[false; 36].as_slice(), &[true; 64]].concat()
        );
        let again = with(&ring, &digests[50]);
        assert_eq!(again.len(), ring.len());
        assert!(holds(&again, &digests[36]));
    }

    #[test]
    fn what_is_no_ring_holds_nothing() {
        let digest = digest(b"x");
        let ring = with(b"", &digest);
        assert!(holds(&ring, &digest));
        assert!(!holds(&[&ring[..], b"y"].concat(), &digest));
        assert_eq!(with(b"somebody else's", &digest), ring);
    }
}
