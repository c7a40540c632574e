//! The signature base: the text that is signed. RFC 9421 §2.5.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_wire::effort::Effort;
use portcullis_wire::headers::Headers;
use portcullis_wire::structured::Dictionary;

use super::input::{Covered, Shape, SignatureInput};
use super::origin::Origin;
use super::query::parameter;

/// Where components are taken from.
pub(super) struct Message<'r> {
    pub(super) headers: &'r Headers,
    /// What clients see of it, where that differs from what the proxy sees.
    pub(super) origin: Option<&'r Origin>,
    pub(super) effort: &'r Effort,
}

/// A component that a request does not have, or not so that it can be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoComponent;

/// Whether a value is one line of ASCII, RFC 9421 §2.5; what is derived is printable as well, without blanks at its
/// ends, §2.2.
fn is_line(name: &str, value: &[u8]) -> bool {
    let is_printable = |b: &u8| (b' '..=b'~').contains(b);
    match name.starts_with('@') {
        true => value.iter().all(is_printable) && value.trim_ascii().len() == value.len(),
        false => value.iter().all(|b| is_printable(b) || *b == b'\t'),
    }
}

impl Message<'_> {
    /// The signature base of what is covered.
    pub(super) fn base(&self, input: &SignatureInput<'_>) -> Result<Vec<u8>, NoComponent> {
        let mut base = Vec::new();
        for component in &input.covered {
            component.written.write(&mut base);
            base.extend_from_slice(b": ");
            let value = self.value(component)?;
            if !is_line(component.name, &value) {
                return Err(NoComponent);
            }
            base.extend_from_slice(&value);
            base.push(b'\n');
        }
        base.extend_from_slice(b"\"@signature-params\": ");
        input.written.write(&mut base);
        Ok(base)
    }

    fn value(&self, component: &Covered<'_>) -> Result<Vec<u8>, NoComponent> {
        match (component.name, component.how) {
            (name, Shape::Plain) if name.starts_with('@') => self.derived(name),
            (_, Shape::Parameter(name)) => {
                let query = self.query()?.unwrap_or_default();
                let steps = u64::try_from(query.len()).unwrap_or(u64::MAX);
                self.effort.spend(steps).map_err(|_| NoComponent)?;
                parameter(query, name).ok_or(NoComponent)
            }
            (name, Shape::Plain) => self.field(name),
            (name, Shape::Bytes) => self.field_bytes(name),
            (name, Shape::Key(key)) => {
                let read = Dictionary::parse(&self.field(name)?).map_err(|_| NoComponent)?;
                let mut value = Vec::new();
                read.member(key).ok_or(NoComponent)?.write(&mut value);
                Ok(value)
            }
        }
    }

    /// RFC 9421 §2.2.
    fn derived(&self, name: &str) -> Result<Vec<u8>, NoComponent> {
        let value = match name {
            "@method" => self.pseudo(":method")?.to_vec(),
            "@scheme" => self.scheme()?,
            "@authority" => self.authority()?,
            "@request-target" => self.pseudo(":path")?.to_vec(),
            "@target-uri" => {
                let parts = [&self.scheme()?, &b"://"[..], &self.authority()?];
                [&parts.concat(), self.pseudo(":path")?].concat()
            }
            "@path" => {
                let target = self.pseudo(":path")?;
                let path = target.split(|b| *b == b'?').next().unwrap_or_default();
                if path.is_empty() { b"/" } else { path }.to_vec()
            }
            // Without a query it is the mark alone, §2.2.7.
            "@query" => [b"?", self.query()?.unwrap_or_default()].concat(),
            _ => return Err(NoComponent),
        };
        Ok(value)
    }

    fn pseudo(&self, name: &str) -> Result<&[u8], NoComponent> {
        self.headers.one(name).ok().flatten().ok_or(NoComponent)
    }

    /// The query, without its mark.
    fn query(&self) -> Result<Option<&[u8]>, NoComponent> {
        let target = self.pseudo(":path")?;
        let mark = target.iter().position(|b| *b == b'?');
        Ok(mark.and_then(|mark| target.get(mark.saturating_add(1)..)))
    }

    fn scheme(&self) -> Result<Vec<u8>, NoComponent> {
        match self.origin {
            Some(origin) => Ok(origin.scheme.as_bytes().to_vec()),
            None => Ok(self.pseudo(":scheme")?.to_ascii_lowercase()),
        }
    }

    /// RFC 9421 §2.2.3: in lower case, and without the port that its scheme has anyway.
    fn authority(&self) -> Result<Vec<u8>, NoComponent> {
        if let Some(origin) = self.origin {
            return Ok(origin.authority.as_bytes().to_vec());
        }
        let authority = self.pseudo(":authority")?.to_ascii_lowercase();
        let usual: &[u8] = match self.scheme().as_deref() {
            Ok(b"https") => b":443",
            Ok(b"http") => b":80",
            _ => return Ok(authority),
        };
        let host = authority.strip_suffix(usual);
        Ok(host.map_or(authority.clone(), <[u8]>::to_vec))
    }

    /// RFC 9421 §2.1: all values of a field, in order.
    fn field(&self, name: &str) -> Result<Vec<u8>, NoComponent> {
        let values = self.values(name)?;
        Ok(values.join(&b", "[..]))
    }

    /// RFC 9421 §2.1.3.
    fn field_bytes(&self, name: &str) -> Result<Vec<u8>, NoComponent> {
        let values = self.values(name)?;
        let written = values
            .iter()
            .map(|value| format!(":{}:", STANDARD.encode(value)));
        let written: Vec<String> = written.collect();
        Ok(written.join(", ").into_bytes())
    }

    fn values(&self, name: &str) -> Result<Vec<&[u8]>, NoComponent> {
        let mut values: Vec<&[u8]> = self.headers.all(name).map(<[u8]>::trim_ascii).collect();
        // Proxies keep `Host` as the authority.
        if values.is_empty() && name == "host" {
            values.push(self.pseudo(":authority")?);
        }
        match values.is_empty() {
            true => Err(NoComponent),
            false => Ok(values),
        }
    }
}
