//! Putting bytes behind each other, once in the code and compiled to be quick: records are put together of many short
//! pieces.

/// Puts bytes at a place of a buffer; the place behind them. None, and nothing is written, if there is no room.
#[inline(never)]
pub fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) -> Option<usize> {
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
}
