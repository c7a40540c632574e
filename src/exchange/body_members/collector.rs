//! Takes the members out of a body while it passes through the gate.

use std::rc::Rc;

use super::tree::{Named, Tree};
use super::{BodyFault, BodyMembers};
use portcullis_wire::budget::{Reservation, Share, reserve};
use portcullis_wire::json::Number;
use portcullis_wire::json::compact::{Compact, FACTOR_WHILE_READ};
use portcullis_wire::json_gate::{Fault, Kind, MemberName, Text, Watch, Word, Written};

/// What has been taken out so far.
pub(super) struct Collector {
    tree: Rc<Tree>,
    /// The JSON texts of what stands at each pointer; empty where nothing has come.
    texts: Vec<Result<Vec<u8>, BodyFault>>,
    /// How many bytes all of them have.
    taken: usize,
    open: Vec<OpenValue>,
    /// The node of the member whose value comes next.
    named: Option<usize>,
    memory: Reservation,
}

/// An array or object that is open.
#[derive(Clone, Copy)]
struct OpenValue {
    /// Its node, if something is asked for in it.
    node: Option<usize>,
    kind: Kind,
    /// How many values have begun in it, if it is an array.
    index: usize,
    /// The slot of which this is the value, if it is an array.
    slot: Option<usize>,
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct ValuePlace {
    node: Option<usize>,
    /// The slot of which it is the value.
    slot: Option<usize>,
    /// The slot in whose list it is.
    list: Option<usize>,
}

/// So much of a body is taken out at most. What is asked for are names.
const MOST: usize = 64 << 10;

/// The largest integer up to which a double holds every one: RFC 7493 §2.2.
const LARGEST: f64 = 9_007_199_254_740_991.0;

/// Every number of so many digits is the shortest form of a double.
const DIGITS_OF_ANY_DOUBLE: usize = 15;

impl Collector {
    /// Before the first byte. None if there is no memory for it.
    pub(super) fn new(tree: &Rc<Tree>) -> Option<Self> {
        let slots = tree.pointers.len();
        let each = size_of::<Result<Vec<u8>, BodyFault>>();
        let needed = size_of::<Self>().saturating_add(slots.saturating_mul(each));
        Some(Self {
            tree: Rc::clone(tree),
            texts: vec![Ok(Vec::new()); slots],
            taken: 0,
            open: Vec::new(),
            named: None,
            memory: reserve(Share::Bodies, needed)?,
        })
    }

    /// What has been taken out of a whole body.
    pub(super) fn into_members(mut self) -> BodyMembers {
        const NESTING: usize = 2;
        let while_read = self.taken.saturating_mul(FACTOR_WHILE_READ);
        if !self.memory.grow(while_read) {
            return BodyMembers::unreadable(BodyFault::Unavailable);
        }
        let read = |text: Result<Vec<u8>, BodyFault>| match text?.as_slice() {
            [] => Ok(None),
            text => {
                let value = Compact::parse(text, NESTING);
                value.map(Some).ok_or(BodyFault::Malformed)
            }
        };
        let values = self.texts.into_iter().map(read).collect();
        let pointers = Rc::clone(&self.tree.pointers);
        BodyMembers::whole(pointers, values, self.memory)
    }

    /// Where the value stands that comes now.
    fn place(&mut self) -> ValuePlace {
        let at = |node: Option<usize>, list| ValuePlace {
            node,
            slot: None,
            list,
        };
        let place = match self.open.last_mut() {
            None => at(Some(0), None),
            Some(level) => match level.kind {
                Kind::Object => at(self.named.take(), None),
                Kind::Array => {
                    let index = level.index;
                    level.index = index.saturating_add(1);
                    let node = level.node.and_then(|node| self.tree.item(node, index));
                    at(node, level.slot)
                }
            },
        };
        let node = place.node.and_then(|node| self.tree.node(node));
        ValuePlace {
            slot: node.and_then(|node| node.slot),
            ..place
        }
    }

    /// A value that has nothing in it, or nothing that is asked for.
    fn value(&mut self, place: ValuePlace, written: &[&[u8]]) {
        self.write(place.slot, written);
        self.write_item(place.list, written);
    }

    fn write_item(&mut self, list: Option<usize>, written: &[&[u8]]) {
        let text = list.and_then(|slot| self.texts.get(slot));
        let is_first = text.is_some_and(|text| text.as_deref() == Ok(&b"["[..]));
        if !is_first {
            self.write(list, &[b","]);
        }
        self.write(list, written);
    }

    fn write(&mut self, slot: Option<usize>, written: &[&[u8]]) {
        let Some(slot) = slot else { return };
        let more = written.iter().map(|part| part.len());
        let more = more.fold(0, usize::saturating_add);
        let Some(Ok(text)) = self.texts.get_mut(slot) else {
            return;
        };
        let taken = self.taken.saturating_add(more);
        let fault = if taken > MOST {
            BodyFault::TooLarge
        } else if !self.memory.grow(more.saturating_mul(2)) {
            BodyFault::Unavailable
        } else {
            self.taken = taken;
            written.iter().for_each(|part| text.extend_from_slice(part));
            return;
        };
        self.doubt([slot], fault);
    }

    fn doubt(&mut self, slots: impl IntoIterator<Item = usize>, fault: BodyFault) {
        for slot in slots {
            if let Some(text) = self.texts.get_mut(slot)
                && text.is_ok()
            {
                *text = Err(fault);
            }
        }
    }

    /// Something else than an object, in which members are asked for.
    fn is_no_object(&mut self, place: ValuePlace) {
        if let Some(node) = place.node {
            self.doubt(self.tree.slots_within(node), BodyFault::Ambiguous);
        }
    }

    fn is_array(&mut self, place: ValuePlace) {
        let Some(node) = place.node else { return };
        let tree = Rc::clone(&self.tree);
        for member in tree.members_alone(node) {
            self.doubt(tree.slots_below(member), BodyFault::Ambiguous);
        }
    }
}

impl<'t> Watch<'t> for Collector {
    fn name(&mut self, name: MemberName<'t>) {
        self.named = None;
        let Some(node) = self.open.last().and_then(|level| level.node) else {
            return;
        };
        let decoded = name.text.decoded();
        let Ok(name) = std::str::from_utf8(&decoded) else {
            return;
        };
        let tree = Rc::clone(&self.tree);
        // Some services end a name there.
        if let Some((before, _)) = name.split_once('\0') {
            for named in tree.named(node, before) {
                let (Named::Is(child) | Named::IsLike(child)) = named;
                self.doubt(tree.slots_below(child), BodyFault::Ambiguous);
            }
        }
        for named in tree.named(node, name) {
            match named {
                Named::Is(child) => self.named = Some(child),
                Named::IsLike(child) => self.doubt(tree.slots_below(child), BodyFault::Ambiguous),
            }
        }
    }

    fn string(&mut self, text: Text<'t>) {
        let place = self.place();
        self.is_no_object(place);
        self.value(place, &[b"\"", text.raw(), b"\""]);
    }

    fn number(&mut self, number: Written<'t>) {
        let place = self.place();
        self.is_no_object(place);
        self.value(place, &[number.written]);
        if !is_exact(&number) {
            let slots = place.slot.into_iter().chain(place.list);
            self.doubt(slots, BodyFault::Number);
        }
    }

    fn word(&mut self, word: Word) {
        let place = self.place();
        let written: &[u8] = match word {
            Word::Null => b"null",
            Word::True => b"true",
            Word::False => b"false",
        };
        if word != Word::Null {
            self.is_no_object(place);
        }
        self.value(place, &[written]);
    }

    fn empty(&mut self, kind: Kind) {
        let place = self.place();
        match kind {
            Kind::Object => self.value(place, &[b"{}"]),
            Kind::Array => {
                self.is_array(place);
                self.value(place, &[b"[]"]);
            }
        }
    }

    fn begins(&mut self, kind: Kind) -> Result<usize, Fault> {
        let place = self.place();
        // Of what is in a list, and of objects, it is enough that they are there.
        let (whole, inner): (&[u8], _) = match kind {
            Kind::Object => (b"{}", None),
            Kind::Array => (b"[]", place.slot),
        };
        self.write_item(place.list, &[whole]);
        match kind {
            Kind::Object => self.write(place.slot, &[whole]),
            Kind::Array => {
                self.is_array(place);
                self.write(place.slot, &[b"["]);
            }
        }
        if self.open.len() == self.open.capacity() {
            let more = self.open.len().max(8);
            let bytes = more.saturating_mul(size_of::<OpenValue>());
            if !self.memory.grow(bytes) {
                return Err(Fault::Memory);
            }
            self.open.reserve_exact(more);
        }
        self.open.push(OpenValue {
            node: place.node,
            kind,
            index: 0,
            slot: inner,
        });
        Ok(0)
    }

    fn ends(&mut self, _: usize, _: usize, _: Kind) {
        if let Some(level) = self.open.pop() {
            self.write(level.slot, &[b"]"]);
        }
    }
}

/// Whether every service reads the same number: one that a double holds is the number that is written, and not
/// another to which that is rounded.
fn is_exact(number: &Written<'_>) -> bool {
    if number.is_plain && number.written.len() <= DIGITS_OF_ANY_DOUBLE {
        return true;
    }
    let text = std::str::from_utf8(number.written).ok();
    let double = text.and_then(|text| text.parse::<f64>().ok());
    let Some(double) = double.filter(|double| double.abs() <= LARGEST) else {
        return false;
    };
    // The shortest form that is read as this double.
    let shortest = Number::parse(&format!("{double:e}"));
    let written = text.and_then(Number::parse);
    shortest.is_some_and(|shortest| written.is_some_and(|written| written.is_same_value(&shortest)))
}
