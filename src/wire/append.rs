//! Putting bytes behind each other, once in the code and compiled to be quick: records are put together of many short
//! pieces.

/// A text in the making, at the beginning of a buffer that is kept. What stands behind it is of texts before, so that
/// nothing is cleared for the next one.
#[derive(Debug)]
pub struct Appended<'b> {
    buffer: &'b mut Vec<u8>,
    /// How much of it has been written.
    at: usize,
}

impl<'b> Appended<'b> {
    /// The least that a buffer has.
    const LEAST: usize = 1024;

    /// An empty text in place of what the buffer holds.
    #[inline]
    pub fn in_place_of(buffer: &'b mut Vec<u8>) -> Self {
        if buffer.len() < Self::LEAST {
            lengthen(buffer, Self::LEAST);
        }
        Self { buffer, at: 0 }
    }

    /// Puts bytes behind what has been written.
    #[inline(never)]
    pub fn put(&mut self, bytes: &[u8]) {
        match put(self.buffer, self.at, bytes) {
            Some(at) => self.at = at,
            None => self.grow(bytes),
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, bytes: &[u8]) {
        let all = self.at.saturating_add(bytes.len());
        lengthen(self.buffer, all.saturating_mul(2));
        if let Some(at) = put(self.buffer, self.at, bytes) {
            self.at = at;
        }
    }

    /// How much has been written.
    #[inline]
    pub fn written(&self) -> usize {
        self.at
    }

    /// What has been written.
    #[inline]
    pub fn into_bytes(self) -> &'b [u8] {
        self.buffer.get(..self.at).unwrap_or_default()
    }
}

#[cold]
#[inline(never)]
fn lengthen(buffer: &mut Vec<u8>, length: usize) {
    buffer.resize(length, 0);
}

/// Puts bytes at a place of a buffer; the place behind them. None, and nothing is written, if there is no room.
#[inline]
fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) -> Option<usize> {
    let length = bytes.len();
    let end = at.checked_add(length)?;
    let to = buffer.get_mut(at..end)?;
    // Short ones word by word, the last over the one before it: a host copies by a call into its own code.
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        if length > 32 {
            to.copy_from_slice(bytes);
            return Some(end);
        }
        if length > 16 {
            words(to, bytes, 8)?;
            words(to, bytes, length.checked_sub(16)?)?;
        }
        *to.first_chunk_mut()? = *first;
        *to.last_chunk_mut()? = *last;
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        *to.first_chunk_mut()? = *first;
        *to.last_chunk_mut()? = *last;
    } else if let ([first, .., last], [to_first, .., to_last]) = (bytes, &mut *to) {
        (*to_first, *to_last) = (*first, *last);
        if let ([_, middle, _], [_, to_middle, _]) = (bytes, to) {
            *to_middle = *middle;
        }
    } else if let ([one], [to]) = (bytes, to) {
        *to = *one;
    }
    Some(end)
}

/// Copies eight bytes at a place.
#[inline]
fn words(to: &mut [u8], bytes: &[u8], at: usize) -> Option<()> {
    let word = bytes.get(at..)?.first_chunk::<8>()?;
    *to.get_mut(at..)?.first_chunk_mut()? = *word;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lengths_are_copied_and_nothing_else_is_written() {
        let bytes: Vec<u8> = (1..=100).collect();
        for length in 0..=bytes.len() {
            for at in 0..20 {
                let mut buffer = vec![0; 110];
                let end = put(&mut buffer, at, &bytes[..length]);
                if at + length > buffer.len() {
                    assert_eq!(end, None);
                    assert!(buffer.iter().all(|byte| *byte == 0));
                    continue;
                }
                assert_eq!(end, Some(at + length));
                let mut expected = vec![0; 110];
                expected[at..at + length].copy_from_slice(&bytes[..length]);
                assert_eq!(buffer, expected, "{length} at {at}");
            }
        }
        assert_eq!(put(&mut [0; 4], usize::MAX, b"ab"), None);
    }

    #[test]
    fn a_text_takes_the_place_of_the_one_before_it() {
        let mut buffer = b"what stood there before".to_vec();
        for length in [3000, 0, 5, 1024, 1025] {
            let mut text = Appended::in_place_of(&mut buffer);
            let mut expected = Vec::new();
            while expected.len() < length {
                let piece = [expected.len() as u8; 17];
                let piece = &piece[..17.min(length - expected.len())];
                text.put(piece);
                expected.extend_from_slice(piece);
                assert_eq!(text.written(), expected.len());
            }
            assert_eq!(text.into_bytes(), expected);
        }
    }
}
