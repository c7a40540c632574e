//! Header maps as Envoy keeps them, and the form in which they cross to the module.

/// Which map it is; what `add` joins depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Request,
    Response,
    Trailers,
}

/// Fields in order, names in lower case, pseudo-headers first.
#[derive(Clone, Debug, Default)]
pub(super) struct HeaderMap {
    kind: Kind,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl HeaderMap {
    pub(super) fn new(kind: Kind) -> HeaderMap {
        HeaderMap {
            kind,
            fields: Vec::new(),
        }
    }

    pub(super) fn fields(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.fields
    }

    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// The bytes of all names and values.
    pub(super) fn byte_size(&self) -> usize {
        self.fields.iter().map(|(n, v)| n.len() + v.len()).sum()
    }

    /// The first value of that name, as the single-header host call reads it.
    pub(super) fn first(&self, name: &str) -> Option<&[u8]> {
        self.first_bytes(name.as_bytes())
    }

    pub(super) fn first_bytes(&self, name: &[u8]) -> Option<&[u8]> {
        let name = name.to_ascii_lowercase();
        let field = self.fields.iter().find(|(n, _)| *n == name);
        field.map(|(_, value)| value.as_slice())
    }

    /// All values of that name joined with `,`, as an attribute reads them.
    pub(super) fn joined(&self, name: &[u8]) -> Option<Vec<u8>> {
        let name = name.to_ascii_lowercase();
        let values: Vec<&[u8]> = (self.fields.iter())
            .filter(|(n, _)| *n == name)
            .map(|(_, value)| value.as_slice())
            .collect();
        (!values.is_empty()).then(|| values.join(&b','))
    }

    /// Adds a line, or joins the value to the line there is if Envoy keeps that name as one value.
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) {
        let name = name.to_ascii_lowercase();
        if self.is_one_value(&name)
            && let Some((_, present)) = self.fields.iter_mut().find(|(n, _)| *n == name)
        {
            if !present.is_empty() {
                present.push(b',');
            }
            present.extend_from_slice(value);
            return;
        }
        let at = if name.starts_with(b":") {
            let pseudo = |(n, _): &&(Vec<u8>, Vec<u8>)| n.starts_with(b":");
            self.fields.iter().take_while(pseudo).count()
        } else {
            self.fields.len()
        };
        self.fields.insert(at, (name, value.to_vec()));
    }

    /// Removes every line of that name and adds one.
    pub(super) fn replace(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.add(name, value);
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        let name = name.to_ascii_lowercase();
        self.fields.retain(|(n, _)| *n != name);
    }

    pub(super) fn clear(&mut self) {
        self.fields.clear();
    }

    fn is_one_value(&self, name: &[u8]) -> bool {
        let of_kind: &[&str] = match self.kind {
            Kind::Request => REQUEST_ONE_VALUE,
            Kind::Response => RESPONSE_ONE_VALUE,
            Kind::Trailers => &["grpc-status", "grpc-message"],
        };
        let listed = |list: &[&str]| list.iter().any(|known| known.as_bytes() == name);
        listed(of_kind) || self.kind != Kind::Trailers && listed(EITHER_ONE_VALUE)
    }
}

const EITHER_ONE_VALUE: &[&str] = &[
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-request-id",
];

const REQUEST_ONE_VALUE: &[&str] = &[
    ":authority",
    ":method",
    ":path",
    ":scheme",
    "accept",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "access-control-request-private-network",
    "authorization",
    "expect",
    "origin",
    "referer",
    "te",
    "user-agent",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

const RESPONSE_ONE_VALUE: &[&str] = &[
    ":status",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "content-encoding",
    "date",
    "etag",
    "grpc-message",
    "grpc-status",
    "location",
    "server",
    "vary",
    "x-envoy-upstream-service-time",
];

/// Header pairs as the module reads them: a count, the lengths, then names and values, each
/// ended by a zero byte. No pairs at all are no bytes at all.
pub(super) fn serialize(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    if fields.is_empty() {
        return Vec::new();
    }
    let mut bytes = size(fields.len()).to_vec();
    for (name, value) in fields {
        bytes.extend(size(name.len()));
        bytes.extend(size(value.len()));
    }
    for text in fields.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(text);
        bytes.push(0);
    }
    bytes
}

fn size(n: usize) -> [u8; 4] {
    u32::try_from(n).expect("fits wasm memory").to_le_bytes()
}

/// Reads pairs a module sends. Like Envoy, takes malformed or oversized ones for none.
pub(super) fn deserialize(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    const MAX_BYTES: usize = 1 << 20;
    const MAX_PAIRS: usize = 1024;
    let parse = || {
        let word = |at: usize| {
            let bytes = bytes.get(at..at.checked_add(4)?)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
        };
        let count = word(0)?;
        if bytes.len() > MAX_BYTES || count > MAX_PAIRS {
            return None;
        }
        let mut at = 4 + count * 8;
        let mut texts = Vec::with_capacity(count * 2);
        for i in 0..count * 2 {
            let end = at.checked_add(word(4 + i * 4)?)?;
            texts.push(bytes.get(at..end)?.to_vec());
            at = end + 1;
        }
        let mut texts = texts.into_iter();
        let mut pairs = Vec::with_capacity(count);
        while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            pairs.push((name, value));
        }
        Some(pairs)
    };
    parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_survive_the_crossing() {
        let pairs = vec![
            (b"a".to_vec(), b"\xff\x00".to_vec()),
            (b"".to_vec(), b"".to_vec()),
        ];
        assert_eq!(deserialize(&serialize(&pairs)), pairs);
        assert_eq!(serialize(&[]), b"");
        assert!(deserialize(b"\x01\x00\x00\x00\xff\xff\xff\xff").is_empty());
        assert!(deserialize(&[0xff; 64]).is_empty());
    }

    #[test]
    fn joins_only_what_envoy_joins() {
        let mut map = HeaderMap::new(Kind::Request);
        for name in ["Authorization", "authorization", "X-Api-Key", "x-api-key"] {
            map.add(name.as_bytes(), b"v");
        }
        map.add(b":path", b"/");
        assert_eq!(map.fields()[0].0, b":path");
        assert_eq!(map.first("authorization"), Some(&b"v,v"[..]));
        assert_eq!(map.joined(b"x-api-key"), Some(b"v,v".to_vec()));
        assert_eq!(map.first("x-api-key"), Some(&b"v"[..]));
        map.replace(b"X-API-KEY", b"w");
        assert_eq!(map.joined(b"x-api-key"), Some(b"w".to_vec()));
    }
}
