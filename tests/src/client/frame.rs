//! HTTP/2 frames and header blocks, RFC 9113 and RFC 7541.

use super::message::{ReadError, Source, malformed};

/// What a client says first.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The largest payload either side may send unless told otherwise.
pub(crate) const LARGEST_PAYLOAD: usize = 16 * 1024;

pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
pub(crate) const PING: u8 = 0x6;
pub(crate) const GOAWAY: u8 = 0x7;
pub(crate) const WINDOW_UPDATE: u8 = 0x8;
pub(crate) const CONTINUATION: u8 = 0x9;

/// On DATA and HEADERS.
pub(crate) const END_STREAM: u8 = 0x1;
/// On SETTINGS and PING.
pub(crate) const ACK: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
pub(crate) const PADDED: u8 = 0x8;
pub(crate) const PRIORITY: u8 = 0x20;

/// One frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The next frame.
    pub(crate) fn read(source: &mut Source) -> Result<Self, ReadError> {
        let mut head = Vec::new();
        source.bytes(9, &mut head)?;
        let &[l0, l1, l2, kind, flags, ref stream @ ..] = head.as_slice() else {
            return Err(malformed("not a frame", &head));
        };
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        if length as usize > LARGEST_PAYLOAD {
            return Err(malformed("a frame larger than allowed", &head));
        }
        let stream = number(stream) & 0x7fff_ffff;
        let mut payload = Vec::new();
        source.bytes(length.into(), &mut payload)?;
        Ok(Self {
            kind,
            flags,
            stream,
            payload,
        })
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The payload of DATA or HEADERS without padding and priority.
    pub(crate) fn content(&self) -> Result<&[u8], ReadError> {
        let cut = || malformed("a frame too short for its flags", &self.payload);
        let mut content = self.payload.as_slice();
        if self.has(PADDED) {
            let (&padding, rest) = content.split_first().ok_or_else(cut)?;
            let length = rest.len().checked_sub(padding.into()).ok_or_else(cut)?;
            content = &rest[..length];
        }
        if self.kind == HEADERS && self.has(PRIORITY) {
            content = content.get(5..).ok_or_else(cut)?;
        }
        Ok(content)
    }
}

/// Appends a frame.
pub(crate) fn put_frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Appends a header block as HEADERS and as many CONTINUATIONs as it takes.
pub(crate) fn put_block(out: &mut Vec<u8>, flags: u8, stream: u32, block: &[u8]) {
    let mut parts = block.chunks(LARGEST_PAYLOAD).peekable();
    let mut kind = HEADERS;
    let mut flags = flags;
    loop {
        let part = parts.next().unwrap_or(&[]);
        let last = parts.peek().is_none();
        put_frame(
            out,
            kind,
            flags | if last { END_HEADERS } else { 0 },
            stream,
            part,
        );
        if last {
            return;
        }
        kind = CONTINUATION;
        flags = 0;
    }
}

/// Appends a field as a literal without indexing, name and value plain, so
/// that every byte can be sent.
pub(crate) fn put_literal(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.push(0);
    put_string(block, name);
    put_string(block, value);
}

/// A big-endian number of up to four bytes.
pub(crate) fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .take(4)
        .fold(0, |n, &byte| n << 8 | u32::from(byte))
}

/// RFC 7541 section 5.2, the Huffman bit unset.
fn put_string(block: &mut Vec<u8>, text: &[u8]) {
    match text.len().checked_sub(127) {
        None => block.push(text.len() as u8),
        Some(mut rest) => {
            block.push(127);
            while rest >= 128 {
                block.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            block.push(rest as u8);
        }
    }
    block.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_to_what_they_were() {
        for length in [0, 1, 126, 127, 128, 254, 255, 256, 16_384, 70_000] {
            let (name, value) = (b"x-\xff".to_vec(), vec![0x80; length]);
            let mut block = Vec::new();
            put_literal(&mut block, &name, &value);
            let decoded = loona_hpack::Decoder::new().decode(&block).unwrap();
            assert_eq!(decoded, [(name, value)]);
        }
    }

    #[test]
    fn long_blocks_continue() {
        let mut out = Vec::new();
        put_block(&mut out, END_STREAM, 1, &vec![7; LARGEST_PAYLOAD + 1]);
        let second = 9 + LARGEST_PAYLOAD;
        assert_eq!(out[..9], [0, 0x40, 0, HEADERS, END_STREAM, 0, 0, 0, 1]);
        let head = [0, 0, 1, CONTINUATION, END_HEADERS, 0, 0, 0, 1];
        assert_eq!(out[second..second + 9], head);
        assert_eq!(out.len(), second + 10);
    }
}
