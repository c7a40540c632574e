//! The fields of a request that plans read, found in one pass over the bytes that the proxy handed over.

use super::Slot;
use portcullis_wire::headers::{FieldSpan, are_alike};
use portcullis_wire::pairs::Pairs;

/// The most fields that plans of one document read.
pub const MOST_SLOTS: usize = 32;

/// Names are shorter: each length has a bit of [`Names::lengths`].
const LONGEST_NAME: usize = 64;

/// The longest value that is shown or read later; it is kept as it is, and a record shows all of it.
const LONGEST_KEPT: usize = 512;

/// The most bytes of fields that are kept of one request, as without plans.
const MOST_KEPT: usize = 8 << 10;

/// Names that plans look for, by their length.
#[derive(Debug)]
pub struct Names {
    names: Box<[Name]>,
    /// A bit for each length that one has.
    lengths: u64,
    /// Where those of a length begin.
    starts: [u16; LONGEST_NAME + 1],
    /// The names of slots, in order, each with whether its value is kept.
    slots: Box<[(Box<str>, bool)]>,
}

#[derive(Debug)]
struct Name {
    text: Box<str>,
    /// None for a field with which a request leaves the plan.
    slot: Option<Slot>,
    is_kept: bool,
}

/// The head of a request: its bytes, and where the fields stand that plans read.
#[derive(Debug)]
pub struct Fields {
    block: Vec<u8>,
    spans: [Span; MOST_SLOTS],
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u16,
    length: u16,
}

impl Span {
    /// No value begins there: a block begins with the number of its fields.
    const ABSENT: Self = Self {
        start: 0,
        length: 0,
    };

    #[inline]
    fn of((start, length): (usize, usize)) -> Option<Self> {
        Some(Self {
            start: u16::try_from(start).ok()?,
            length: u16::try_from(length).ok()?,
        })
    }

    #[inline]
    fn is_absent(self) -> bool {
        self.start == 0
    }
}

impl Names {
    /// Looks for these fields, each with whether it is kept after the head has been judged, and for others
    /// with which a request leaves the plan. None if they are too many, or too long.
    pub fn new<'n>(
        slots: impl Iterator<Item = (&'n str, bool)> + Clone,
        watched: impl Iterator<Item = &'n str>,
    ) -> Option<Self> {
        let of_slots = slots.clone().enumerate();
        let of_slots = of_slots.map(|(place, (name, is_kept))| (name, Some(Slot(place)), is_kept));
        let watched = watched.map(|name| (name, None, false));
        let mut names: Vec<Name> = Vec::new();
        for (text, mut slot, is_kept) in of_slots.chain(watched) {
            // What is watched has left the plan before it is read, in every spelling that services take for
            // it: records may show one. So has each of two names that they take for one: whoever asks for
            // one of them may mind the other.
            let alike = |each: &&mut Name| are_alike(each.text.as_bytes(), text.as_bytes());
            for each in names.iter_mut().filter(alike) {
                if slot.is_none() || *each.text != *text {
                    (each.slot, slot) = (None, None);
                }
            }
            if !names.iter().any(|each| *each.text == *text) {
                names.push(Name {
                    text: text.into(),
                    slot,
                    is_kept,
                });
            }
        }
        let is_too_long = |each: &Name| each.text.len() >= LONGEST_NAME;
        if slots.clone().count() > MOST_SLOTS || names.iter().any(is_too_long) {
            return None;
        }
        names.sort_by_key(|each| each.text.len());
        let mut starts = [0; LONGEST_NAME + 1];
        for (length, start) in starts.iter_mut().enumerate() {
            let before = names.partition_point(|each| each.text.len() < length);
            *start = u16::try_from(before).ok()?;
        }
        let lengths = names.iter().map(|each| each.text.len());
        Some(Self {
            lengths: lengths.fold(0, |all, length| all | bit(length)),
            names: names.into(),
            starts,
            slots: slots.map(|(name, kept)| (name.into(), kept)).collect(),
        })
    }

    #[inline]
    fn of_length(&self, length: usize) -> &[Name] {
        let start = |length: usize| self.starts.get(length).map(|start| usize::from(*start));
        let (first, after) = (start(length), start(length.saturating_add(1)));
        let range = first.zip(after).map(|(first, after)| first..after);
        range
            .and_then(|range| self.names.get(range))
            .unwrap_or_default()
    }

    /// Finds the fields in a block of pairs. False where it is not of the known form; where a field came twice; where
    /// one is watched, is too long to be kept, or has a name that some services read as one of these.
    #[inline]
    pub fn find(&self, fields: &mut Fields) -> bool {
        self.find_all(fields).is_some()
    }

    #[inline]
    fn find_all(&self, Fields { block, spans }: &mut Fields) -> Option<()> {
        let mut kept = 0_usize;
        for field in Pairs::of(block)? {
            let FieldSpan { name, value } = field?;
            let (start, length) = name;
            if self.lengths & bit(length) == 0 {
                continue;
            }
            let name = block.get(start..start.checked_add(length)?)?;
            for each in self.of_length(length) {
                if each.text.as_bytes() == name {
                    let span = spans.get_mut(each.slot?.0)?;
                    span.is_absent().then_some(())?;
                    *span = Span::of(value)?;
                    if each.is_kept {
                        (value.1 <= LONGEST_KEPT).then_some(())?;
                        kept = kept.saturating_add(length).saturating_add(value.1);
                    }
                    break;
                }
                if are_alike(each.text.as_bytes(), name) {
                    return None;
                }
            }
        }
        (kept <= MOST_KEPT).then_some(())
    }

    /// The slots whose values are kept, by name.
    #[inline]
    pub fn kept(&self) -> impl Iterator<Item = (&str, Slot)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(place, (name, kept))| kept.then_some((&**name, Slot(place))))
    }
}

/// The bit of a length; none for one that no name has.
#[inline]
fn bit(length: usize) -> u64 {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    1_u64.checked_shl(length).unwrap_or(0)
}

impl Fields {
    /// A block in which nothing has been looked for.
    #[inline]
    pub fn unread(block: Vec<u8>) -> Self {
        let spans = [Span::ABSENT; MOST_SLOTS];
        Self { block, spans }
    }

    /// The value of a field, if it is there.
    #[inline]
    pub fn one(&self, slot: Slot) -> Option<&[u8]> {
        let span = self.spans.get(slot.0).filter(|span| !span.is_absent())?;
        let start = usize::from(span.start);
        let end = start.checked_add(usize::from(span.length))?;
        self.block.get(start..end)
    }

    /// The same, as text.
    #[inline]
    pub fn text(&self, slot: Slot) -> Option<&str> {
        std::str::from_utf8(self.one(slot)?).ok()
    }

    /// How many bytes of memory they take beside themselves.
    #[inline]
    pub fn memory(&self) -> usize {
        self.block.capacity()
    }

    /// The bytes that they were found in.
    #[inline]
    pub fn into_block(self) -> Vec<u8> {
        self.block
    }

    /// Lets go of all but those that are kept, where that saves enough memory to be worth a copy.
    #[inline]
    pub fn keep(&mut self, names: &Names) {
        const SMALL: usize = 2 << 10;
        if self.block.capacity() > SMALL {
            self.keep_alone(names);
        }
    }

    #[cold]
    #[inline(never)]
    fn keep_alone(&mut self, names: &Names) {
        let mut spans = [Span::ABSENT; MOST_SLOTS];
        // A value that began at 0 would count as absent.
        let mut block = vec![0];
        for (_, slot) in names.kept() {
            let (Some(value), Some(span)) = (self.one(slot), spans.get_mut(slot.0)) else {
                continue;
            };
            if let Some(found) = Span::of((block.len(), value.len())) {
                *span = found;
                block.extend_from_slice(value);
            }
        }
        block.shrink_to_fit();
        *self = Self { block, spans };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::pairs;

    const SLOTS: [(&str, bool); 3] = [(":path", true), ("authorization", false), ("origin", true)];

    fn find(fields: &[(&str, &str)]) -> Option<Vec<Option<String>>> {
        let names = Names::new(SLOTS.into_iter(), ["x-user", "x-http-method"].into_iter());
        let fields = fields.iter();
        let block = pairs::write(fields.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        let (names, mut found) = (names.unwrap(), Fields::unread(block));
        names.find(&mut found).then_some(())?;
        let read = |found: &Fields| {
            (0..SLOTS.len())
                .map(|slot| found.text(Slot(slot)).map(str::to_owned))
                .collect()
        };
        let all: Vec<Option<String>> = read(&found);
        let is_long = found.memory() > 2 << 10;
        found.keep(&names);
        let kept: Vec<Option<String>> = read(&found);
        for ((before, after), (_, is_kept)) in all.iter().zip(&kept).zip(SLOTS) {
            let left = before.as_ref().filter(|_| is_kept || !is_long);
            assert_eq!(after.as_ref(), left);
        }
        Some(all)
    }

    #[test]
    fn fields_are_found_by_their_names() {
        let long = "x".repeat(3000);
        let found = find(&[
            ("other", "1"),
            ("origin", ""),
            ("authorisation", "1"),
            ("authorization", &long),
            (
                "x-more-than-all-names-that-are-looked-for-and-than-sixty-four-bytes",
                "",
            ),
        ]);
        assert_eq!(found, Some(vec![None, Some(long), Some(String::new())]));
    }

    #[test]
    fn what_is_not_plain_leaves_the_plan() {
        for fields in [
            &[("origin", "a"), ("origin", "a")][..],
            &[("x-user", "a")],
            &[("x_user", "a")],
            &[("x.http*method", "a")],
            &[("origin", &"a".repeat(513))],
            &[("authorization", &"a".repeat(1 << 16))],
        ] {
            assert_eq!(find(fields), None, "{fields:?}");
        }
        assert!(find(&[("x-users", "a"), ("http-method", "a")]).is_some());
    }

    #[test]
    fn two_names_that_are_read_as_one_leave_the_plan() {
        for slots in [["x-user", "x_user"], ["x_user", "x-user"]] {
            let slots = slots
                .into_iter()
                .chain(["x-other"])
                .map(|name| (name, true));
            let names = Names::new(slots, [].into_iter()).unwrap();
            let read = |name: &str| {
                let field = [(name.as_bytes(), &b"a"[..])];
                names.find(&mut Fields::unread(pairs::write(field.into_iter())))
            };
            assert!(!read("x-user") && !read("x_user") && read("x-other"));
        }
    }

    #[test]
    fn what_is_watched_is_watched_in_every_spelling_that_is_read() {
        let slots = [("x_user", true), ("x.user", false), ("x-users", true)];
        let names = Names::new(slots.into_iter(), ["x-user"].into_iter()).unwrap();
        let read = |name: &str| {
            let field = [(name.as_bytes(), &b"a"[..])];
            names.find(&mut Fields::unread(pairs::write(field.into_iter())))
        };
        for name in ["x_user", "x.user", "x-user", "x*user"] {
            assert!(!read(name), "{name}");
        }
        assert!(read("x-users"));
    }
}
