//! Header fields in one block, as proxies hand them over: a count, then the lengths of every name and
//! value, then names and values, each followed by NUL. Numbers are little-endian, of 32 bits.

use crate::headers::FieldSpan;

/// The fields of a block, in order. An item is none where the block is not of that form; nothing follows
/// it.
#[derive(Clone, Debug)]
pub struct Pairs<'b> {
    block: &'b [u8],
    left: usize,
    /// Where the next two lengths stand.
    lengths: usize,
    /// Where the next name stands.
    at: usize,
}

/// The length of a number.
const NUMBER: usize = 4;

/// What stands behind each name and value.
const NUL: usize = 1;

impl<'b> Pairs<'b> {
    /// Reads a block; none if it is too short for what it says. An empty one has no fields.
    #[inline]
    pub fn of(block: &'b [u8]) -> Option<Self> {
        let left = match block {
            [] => 0,
            block => number(block, 0)?,
        };
        let at = left.checked_mul(2 * NUMBER)?.checked_add(NUMBER)?;
        (left == 0 || at <= block.len()).then_some(Self {
            block,
            left,
            lengths: NUMBER,
            at,
        })
    }

    #[inline]
    fn read(&mut self) -> Option<FieldSpan> {
        let name = (self.at, number(self.block, self.lengths)?);
        let length = number(self.block, self.lengths.checked_add(NUMBER)?)?;
        let value = (name.0.checked_add(name.1)?.checked_add(NUL)?, length);
        self.at = value.0.checked_add(value.1)?.checked_add(NUL)?;
        self.lengths = self.lengths.checked_add(2 * NUMBER)?;
        (self.at <= self.block.len()).then_some(FieldSpan { name, value })
    }
}

impl Iterator for Pairs<'_> {
    type Item = Option<FieldSpan>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let read = self.read();
        if read.is_none() {
            self.left = 0;
        }
        Some(read)
    }
}

/// The fields of one message in a block, of which some are looked for.
#[derive(Debug)]
pub struct Block {
    bytes: Vec<u8>,
    /// A bit for each length that a name has, but for the longest.
    lengths: u64,
}

impl Block {
    /// Takes a block; none if it is not of that form.
    #[inline]
    pub fn of(bytes: Vec<u8>) -> Option<Self> {
        let mut lengths = 0;
        for field in Pairs::of(&bytes)? {
            lengths |= length_bit(field?.name.1);
        }
        Some(Self { bytes, lengths })
    }

    /// The first value of a field, if it is there.
    #[inline]
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        if !self.may_have(length_bit(name.len())) {
            return None;
        }
        self.find(name)
    }

    /// Whether a name has one of these lengths, each with its [bit](length_bit).
    #[inline]
    pub fn may_have(&self, lengths: u64) -> bool {
        self.lengths & lengths != 0
    }

    /// The same, by looking at each.
    #[inline(never)]
    fn find(&self, name: &str) -> Option<&[u8]> {
        let mut named = self.iter().filter(|(each, _)| *each == name.as_bytes());
        named.next().map(|(_, value)| value)
    }

    /// All fields in order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let pairs = Pairs::of(&self.bytes).into_iter().flatten().flatten();
        pairs.map(|field| (self.slice(field.name), self.slice(field.value)))
    }

    #[inline]
    fn slice(&self, (start, length): (usize, usize)) -> &[u8] {
        let end = start.saturating_add(length);
        self.bytes.get(start..end).unwrap_or_default()
    }
}

/// The fields of one message in the making.
#[derive(Debug)]
pub struct BlockDraft {
    /// Names and values, each followed by NUL, also those of fields that have been removed.
    bytes: Vec<u8>,
    fields: Vec<FieldSpan>,
}

impl Default for BlockDraft {
    fn default() -> Self {
        Self {
            bytes: Vec::with_capacity(1024),
            fields: Vec::with_capacity(32),
        }
    }
}

impl BlockDraft {
    /// Adds a field.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        let mut put = |text: &[u8]| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(text);
            self.bytes.push(0);
            (start, text.len())
        };
        let (name, value) = (put(name), put(value));
        self.fields.push(FieldSpan { name, value });
    }

    /// Removes every field of a name.
    pub fn remove(&mut self, name: &[u8]) {
        let bytes = &self.bytes;
        let is_other = |field: &FieldSpan| {
            let (start, length) = field.name;
            length != name.len() || bytes.get(start..start.saturating_add(length)) != Some(name)
        };
        self.fields.retain(is_other);
    }

    /// Puts one field in place of every field of its name.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.add(name, value);
    }

    /// The block.
    pub fn write(&self) -> Vec<u8> {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
        let lengths = self.fields.len().saturating_mul(2 * NUMBER);
        let most = self.bytes.len().saturating_add(lengths);
        let mut block = Vec::with_capacity(most.saturating_add(NUMBER));
        block.extend_from_slice(&number(self.fields.len()));
        for field in &self.fields {
            block.extend_from_slice(&number(field.name.1));
            block.extend_from_slice(&number(field.value.1));
        }
        for field in &self.fields {
            let (start, length) = field.value;
            let end = start.saturating_add(length).saturating_add(NUL);
            let both = self.bytes.get(field.name.0..end);
            block.extend_from_slice(both.unwrap_or_default());
        }
        block
    }
}

/// The bit of the length of a name. Names that are longer than any other share one.
#[inline]
pub fn length_bit(length: usize) -> u64 {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    1_u64.checked_shl(length).unwrap_or(1)
}

#[inline]
fn number(block: &[u8], at: usize) -> Option<usize> {
    let bytes = block.get(at..)?.first_chunk::<NUMBER>()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

/// Writes a block.
pub fn write<'f>(fields: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone) -> Vec<u8> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut block = number(fields.clone().count()).to_vec();
    for (name, value) in fields.clone() {
        block.extend_from_slice(&number(name.len()));
        block.extend_from_slice(&number(value.len()));
    }
    for (name, value) in fields {
        for text in [name, value] {
            block.extend_from_slice(text);
            block.push(0);
        }
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(block: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
        let slice = |(start, length): (usize, usize)| &block[start..start + length];
        let fields = Pairs::of(block)?.map(|field| field.map(|f| (slice(f.name), slice(f.value))));
        fields.collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let all: [(&[u8], &[u8]); 3] = [(b":path", b"/a"), (b"b", b""), (b"b", b"\xff\0")];
        for some in 0..=all.len() {
            let block = write(all[..some].iter().copied());
            assert_eq!(read(&block).unwrap(), all[..some]);
        }
        assert_eq!(read(b""), Some(Vec::new()));
    }

    #[test]
    fn fields_of_a_block_are_found_by_name() {
        let long = "x".repeat(100);
        let fields = [
            (":status", "200"),
            ("a", ""),
            ("b", "1"),
            ("b", "2"),
            (&long, "3"),
        ];
        let pairs = || {
            fields
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        };
        let block = Block::of(write(pairs())).unwrap();
        assert!(block.iter().eq(pairs()));
        for (name, value) in [(":status", "200"), ("a", ""), ("b", "1"), (&long, "3")] {
            assert_eq!(block.first(name), Some(value.as_bytes()));
        }
        for name in ["", "c", "aa", &"y".repeat(100), &"x".repeat(99)] {
            assert_eq!(block.first(name), None);
        }
        assert_eq!(Block::of(Vec::new()).unwrap().first("a"), None);
        let mut cut = write(pairs());
        cut.pop();
        assert!(Block::of(cut).is_none());
    }

    #[test]
    fn what_is_changed_bit_by_bit_is_written_as_a_whole() {
        let mut draft = BlockDraft::default();
        let mut fields: Vec<(String, String)> = Vec::new();
        for round in 0..60_usize {
            let name = format!("{}{}", "n".repeat(round % 4), round % 5);
            let value = "v".repeat(round % 7);
            match round % 6 {
                0..=2 => {
                    draft.add(name.as_bytes(), value.as_bytes());
                    fields.push((name, value));
                }
                3 => {
                    draft.remove(name.as_bytes());
                    fields.retain(|(each, _)| *each != name);
                }
                _ => {
                    draft.set(name.as_bytes(), value.as_bytes());
                    fields.retain(|(each, _)| *each != name);
                    fields.push((name, value));
                }
            }
            let all = fields.iter();
            let all = all.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            assert_eq!(draft.write(), write(all), "{round}");
        }
        assert!(!fields.is_empty());
    }

    #[test]
    fn what_is_cut_or_says_too_much_is_not_read() {
        let block = write([(&b"name"[..], &b"value"[..])].into_iter());
        for length in 1..block.len() {
            assert_eq!(read(&block[..length]), None, "{length}");
        }
        for place in 0..12 {
            let mut wrong = block.clone();
            wrong[place] |= 0x80;
            assert_eq!(read(&wrong), None, "{place}");
        }
    }
}
