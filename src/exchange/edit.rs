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

/// One change of a message whose fields are known, as a proxy is asked for it. To add a field costs
/// half of what it costs to replace one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'e> {
    /// Remove every field of that name, of which there are some.
    Remove(&'e HeaderName),
    /// Replace every field of that name, of which there are some.
    Replace(&'e HeaderName, &'e HeaderValue),
    /// Add a field.
    Add(&'e HeaderName, &'e HeaderValue),
    /// Something else than a field's.
    Other(&'e Edit),
}

/// What edits change in a message with these fields, in order: a field that is not there need not be
/// removed, and what is set where there is none is added, never beside one that is there.
pub fn changes<'e>(edits: &'e [Edit], fields: &Headers) -> Vec<Change<'e>> {
    fn gather<'e>(edits: &'e [Edit], fields: &Headers, out: &mut Vec<Change<'e>>) {
        for edit in edits {
            let change = match edit {
                Edit::Prepared(edits) => {
                    gather(edits, fields, out);
                    continue;
                }
                Edit::Remove(name) => match is_there(name, fields, out) {
                    true => Change::Remove(name),
                    false => continue,
                },
                Edit::Set(name, value) => match is_there(name, fields, out) {
                    true => Change::Replace(name, value),
                    false => Change::Add(name, value),
                },
                Edit::Add(name, value) => Change::Add(name, value),
                Edit::SetPath(_) | Edit::FilterState(..) | Edit::HitsAddend(_) => {
                    Change::Other(edit)
                }
            };
            out.push(change);
        }
    }
    let mut out = Vec::with_capacity(16);
    gather(edits, fields, &mut out);
    out
}

/// Whether there is a field of that name after these changes.
fn is_there(name: &HeaderName, fields: &Headers, changes: &[Change<'_>]) -> bool {
    let made = changes.iter().rev().find_map(|change| match change {
        Change::Remove(removed) => (*removed == name).then_some(false),
        Change::Replace(written, _) | Change::Add(written, _) => (*written == name).then_some(true),
        Change::Other(_) => None,
    });
    made.unwrap_or_else(|| fields.all(name.as_str()).next().is_some())
}

/// The names of fields that have been written to a head: some that have not may seem to be among them,
/// and none that has is missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Written {
    prints: [u64; Self::MOST],
    many: usize,
    /// A bit for each of them, so that most that are not among them are known without looking.
    bits: u64,
}

impl Written {
    const MOST: usize = 32;

    /// Notes a name.
    #[inline]
    pub fn note(&mut self, name: &str) {
        self.add(print(name));
    }

    #[inline]
    fn add(&mut self, print: u64) {
        if let Some(place) = self.prints.get_mut(self.many) {
            *place = print;
        }
        self.bits |= bit(print);
        self.many = self.many.saturating_add(1);
    }

    /// Notes a name that has certainly not been; false, and nothing is noted, if it may have been.
    #[inline]
    pub fn note_new(&mut self, name: &str) -> bool {
        let print = print(name);
        let is_new = !self.has(print);
        if is_new {
            self.add(print);
        }
        is_new
    }

    /// Whether that name may have been noted.
    #[inline]
    pub fn may_have(&self, name: &str) -> bool {
        self.has(print(name))
    }

    #[inline]
    fn has(&self, print: u64) -> bool {
        if self.many <= Self::MOST && self.bits & bit(print) == 0 {
            return false;
        }
        let mut noted = self.prints.iter().take(self.many);
        self.many > Self::MOST || noted.any(|each| *each == print)
    }
}

/// One of 64 bits by a print.
#[inline]
fn bit(print: u64) -> u64 {
    // The upper bits of the product are mixed from all of the print.
    1 << (print.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)
}

/// The length of a name with its first and its last eight bytes: for most, it is told apart by them.
#[inline]
fn print(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let first = bytes
        .first_chunk()
        .map_or(0, |first| u64::from_le_bytes(*first));
    let last = match bytes.last_chunk() {
        Some(last) => u64::from_le_bytes(*last),
        None => bytes
            .iter()
            .fold(0, |all, byte| all << 8 | u64::from(*byte)),
    };
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    first.rotate_left(21) ^ last ^ length.rotate_left(48)
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
    fn what_has_been_written_is_known() {
        let names: Vec<String> = (0..40)
            .map(|n| format!("x-{}{n}", "a".repeat(n % 9)))
            .collect();
        let mut written = Written::default();
        for (count, name) in names.iter().enumerate() {
            assert_eq!(written.may_have(name), count > Written::MOST, "{name}");
            written.note(name);
            assert!(names[..=count].iter().all(|each| written.may_have(each)));
            assert!(!written.note_new(name));
        }
        let mut written = Written::default();
        written.note("vary");
        for other in ["", "va", "vari", "x-vary", "access-control-allow-origin"] {
            assert!(!written.may_have(other), "{other}");
            assert!(written.note_new(other) && written.may_have(other));
        }
    }

    #[test]
    fn what_is_set_is_added_only_where_there_is_none() {
        let name = |text| HeaderName::parse(text).unwrap();
        let value = HeaderValue::parse(b"x").unwrap();
        let set = |text| Edit::Set(name(text), value.clone());
        let edits = [
            Edit::Remove(name("there")),
            Edit::Remove(name("there")),
            Edit::Remove(name("absent")),
            Edit::Prepared(Rc::from([
                set("written"),
                set("present"),
                Edit::Remove(name("absent")),
            ])),
            set("written"),
            Edit::Remove(name("written")),
            set("written"),
            set("there"),
            Edit::Add(name("absent"), value.clone()),
            set("absent"),
            Edit::Remove(name("absent")),
            Edit::HitsAddend(2),
        ];
        let mut fields = Headers::default();
        for there in ["there", "present", "there"] {
            fields.push(there.as_bytes(), b"1");
        }
        let [there, written, present, absent] = ["there", "written", "present", "absent"].map(name);
        let expected = [
            Change::Remove(&there),
            Change::Add(&written, &value),
            Change::Replace(&present, &value),
            Change::Replace(&written, &value),
            Change::Remove(&written),
            Change::Add(&written, &value),
            Change::Add(&there, &value),
            Change::Add(&absent, &value),
            Change::Replace(&absent, &value),
            Change::Remove(&absent),
            Change::Other(&Edit::HitsAddend(2)),
        ];
        assert_eq!(changes(&edits, &fields), expected);
    }
}
