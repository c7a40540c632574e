//! Changes of a message's head, and values that are left for others.

use std::rc::Rc;

use portcullis_wire::headers::{HeaderName, HeaderValue, Headers};

/// One change of a message's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Remove every field of that name.
    Remove(HeaderName),
    /// Replace every field of that name by one.
    Set(HeaderName, HeaderValue),
    /// Add a field beside those of that name.
    Add(HeaderName, HeaderValue),
    /// Replace `:path`. Only its query may differ: routes have been chosen by the rest. The path that
    /// they have been chosen by may be set as well.
    SetPath(HeaderValue),
    /// Leave a value for other filters and for the proxy's own access log.
    FilterState(FilterStateKey, HeaderValue),
    /// Say how much the request costs where the proxy asks a rate limit service: in Envoy the
    /// filter state `envoy.ratelimit.hits_addend`.
    HitsAddend(u32),
    /// Several changes in order, prepared when the document was compiled.
    Prepared(Rc<[Edit]>),
}

/// Those of the changes, in order, that change a message with these fields: a field that is not
/// there need not be removed, and each call to the proxy has its price.
pub fn effective<'e>(edits: &'e [Edit], fields: &Headers) -> Vec<&'e Edit> {
    fn gather<'e>(edits: &'e [Edit], fields: &Headers, out: &mut Vec<&'e Edit>) {
        for edit in edits {
            match edit {
                Edit::Prepared(edits) => gather(edits, fields, out),
                Edit::Remove(name) if fields.all(name.as_str()).next().is_some() => out.push(edit),
                Edit::Remove(name) if out.iter().any(|each| each.writes(name)) => out.push(edit),
                Edit::Remove(_) => {}
                Edit::Set(..)
                | Edit::Add(..)
                | Edit::SetPath(_)
                | Edit::FilterState(..)
                | Edit::HitsAddend(_) => out.push(edit),
            }
        }
    }
    let mut out = Vec::with_capacity(16);
    gather(edits, fields, &mut out);
    out
}

impl Edit {
    /// What it writes, where that is one value.
    pub fn value(&self) -> Option<&HeaderValue> {
        match self {
            Edit::Set(_, value)
            | Edit::Add(_, value)
            | Edit::SetPath(value)
            | Edit::FilterState(_, value) => Some(value),
            Edit::Remove(_) | Edit::HitsAddend(_) | Edit::Prepared(_) => None,
        }
    }

    fn writes(&self, name: &HeaderName) -> bool {
        match self {
            Edit::Set(written, _) | Edit::Add(written, _) => written == name,
            Edit::Remove(_)
            | Edit::SetPath(_)
            | Edit::FilterState(..)
            | Edit::HitsAddend(_)
            | Edit::Prepared(_) => false,
        }
    }
}

/// The name under which a value is left for other filters: `portcullis.` and letters, digits
/// and `_`. In Envoy it is the filter state `wasm.portcullis.…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilterStateKey(Rc<str>);

impl FilterStateKey {
    /// Puts `portcullis.` in front. `None` when the key has other characters.
    pub fn parse(key: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let usable = !key.is_empty() && key.len() <= 64 && key.bytes().all(plain);
        usable.then(|| Self(format!("portcullis.{key}").into()))
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_without_effect_are_left_out() {
        let name = |text| HeaderName::parse(text).unwrap();
        let value = HeaderValue::parse(b"x").unwrap();
        let edits = [
            Edit::Remove(name("there")),
            Edit::Remove(name("absent")),
            Edit::Prepared(Rc::from([
                Edit::Set(name("written"), value.clone()),
                Edit::Remove(name("absent")),
            ])),
            Edit::Remove(name("written")),
            Edit::Add(name("absent"), value.clone()),
            Edit::Remove(name("absent")),
        ];
        let mut fields = Headers::default();
        fields.push(b"there", b"1");
        let expected = [
            Edit::Remove(name("there")),
            Edit::Set(name("written"), value.clone()),
            Edit::Remove(name("written")),
            Edit::Add(name("absent"), value),
            Edit::Remove(name("absent")),
        ];
        assert!(effective(&edits, &fields).into_iter().eq(&expected));
    }
}
