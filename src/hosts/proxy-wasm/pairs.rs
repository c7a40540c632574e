//! The ABI's serialisation of header maps: a count, then the lengths of every name and value,
//! then names and values, each followed by NUL; numbers are little-endian 32 bits.

use portcullis_wire::headers::{FieldSpan, Headers};

/// How many bytes a map takes when it is read: its serialisation, and where each field stands.
pub(super) fn memory(bytes: usize, fields: usize) -> usize {
    // A count; two lengths, and a NUL behind each name and value.
    let framing = fields.saturating_mul(10).saturating_add(4);
    bytes.saturating_add(framing).saturating_add(spans(fields))
}

/// How many of these say where each field stands.
pub(super) fn spans(fields: usize) -> usize {
    fields.saturating_mul(size_of::<FieldSpan>())
}

/// Reads a map without copying it. `None` when the bytes are not of that form.
pub(super) fn read(block: Vec<u8>) -> Option<Headers> {
    const NUL: usize = 1;
    if block.is_empty() {
        return Some(Headers::default());
    }
    let number = |at: usize| {
        let bytes = block.get(at..at.checked_add(4)?)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let count = number(0)?;
    let lengths_end = count.checked_mul(8)?.checked_add(4)?;
    if lengths_end > block.len() {
        return None;
    }
    let mut spans = Vec::with_capacity(count);
    let mut at = lengths_end;
    let mut span = |length: usize| {
        let start = at;
        at = start.checked_add(length)?.checked_add(NUL)?;
        (at <= block.len()).then_some((start, length))
    };
    for index in 0..count {
        let place = index.checked_mul(8)?.checked_add(4)?;
        let name = span(number(place)?)?;
        let value = span(number(place.checked_add(4)?)?)?;
        spans.push(FieldSpan { name, value });
    }
    Some(Headers::indexed(block, spans))
}

/// Writes a map.
pub(super) fn write<'f>(
    fields: impl ExactSizeIterator<Item = (&'f [u8], &'f [u8])> + Clone,
) -> Vec<u8> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let sizes = fields.clone();
    let sizes = sizes.map(|(name, value)| name.len().saturating_add(value.len()));
    let bytes = sizes.fold(0, usize::saturating_add);
    let mut block = Vec::with_capacity(memory(bytes, fields.len()));
    block.extend_from_slice(&number(fields.len()));
    for (name, value) in fields.clone() {
        block.extend_from_slice(&number(name.len()));
        block.extend_from_slice(&number(value.len()));
    }
    for (name, value) in fields {
        block.extend_from_slice(name);
        block.push(0);
        block.extend_from_slice(value);
        block.push(0);
    }
    block
}
