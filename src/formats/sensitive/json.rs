//! JSON texts: members that are meant, and strings, numbers and names that look like something, masked or taken out.
//! Whatever else stands in a text stays as it is, to the byte.

use super::output::{NoMemory, Output, Rewritten};
use super::selector::{MOST_DEPTH, Selectors};
use super::text::{Outcome, Spelling, rewrite};
use super::{Finder, Findings, Kind, Treatment, Treatments, card, mask};
use portcullis_wire::budget::{Reservation, Share, reserve};
use portcullis_wire::digits::Digits;
use portcullis_wire::json_gate::{
    Fault, Limits, MemberName, Text, Watch, Written, read_string, watch,
};

/// What stands in place of a value.
const MASKED: &[u8] = b"\"****\"";

/// Judges a JSON text, and rewrites it: none if nothing is to be changed. A member is taken out with the comma that
/// belongs to it; an element, and a text that is one value, becomes `null`.
///
/// # Errors
/// Why it cannot be read.
pub fn redact_json(
    text: &[u8],
    limits: &Limits,
    selectors: &Selectors,
    wanted: &Treatments,
    findings: &mut Findings,
) -> Result<Option<Rewritten>, Fault> {
    let limits = Limits {
        depth: limits.depth.min(MOST_DEPTH),
        ..*limits
    };
    let mut first = FirstLook {
        selectors,
        wanted,
        has_elements: selectors.may_mean_elements(),
        memory: Reservation::none(Share::Bodies),
        finds: false,
        lacks_memory: false,
    };
    watch(text, &limits, &mut first)?;
    let FirstLook {
        finds,
        lacks_memory,
        ..
    } = first;
    if lacks_memory {
        return Err(Fault::Memory);
    }
    if !finds {
        return Ok(None);
    }
    let frames = MOST_DEPTH
        .saturating_mul(size_of::<Frame>())
        .saturating_mul(2);
    let _frames = reserve(Share::Bodies, frames).ok_or(Fault::Memory)?;
    let mut walk = Walk {
        text,
        at: 0,
        copied: 0,
        frames: Vec::new(),
        selectors,
        wanted,
        findings,
        out: Output::new(),
    };
    walk.run().map_err(|NoMemory| Fault::Memory)?;
    let is_changed = walk.copied > 0;
    let Walk {
        copied, mut out, ..
    } = walk;
    let rest = text.get(copied..).unwrap_or_default();
    if is_changed {
        out.push(rest).map_err(|NoMemory| Fault::Memory)?;
    }
    Ok(is_changed.then(|| out.finish()))
}

/// Whether there is anything to be done with a text that is strict JSON: with most there is not.
struct FirstLook<'s> {
    selectors: &'s Selectors,
    wanted: &'s Treatments,
    has_elements: bool,
    memory: Reservation,
    finds: bool,
    lacks_memory: bool,
}

impl FirstLook<'_> {
    fn meaning<'t>(&mut self, text: Text<'t>) -> std::borrow::Cow<'t, [u8]> {
        let needed = match text.plain() {
            Some(_) => 0,
            None => text.raw().len(),
        };
        let more = needed.saturating_sub(self.memory.bytes());
        if more > 0 && !self.memory.grow(more) {
            self.lacks_memory = true;
            return std::borrow::Cow::Borrowed(b"");
        }
        text.decoded()
    }

    fn looks_like_something(&self, text: &[u8]) -> bool {
        !self.wanted.is_empty() && Finder::new(text, self.wanted).next().is_some()
    }
}

impl<'t> Watch<'t> for FirstLook<'_> {
    fn name(&mut self, name: MemberName<'t>) {
        if !self.finds {
            let name = self.meaning(name.text);
            self.finds = self.selectors.may_mean(&name) || self.looks_like_something(&name);
        }
    }

    fn string(&mut self, text: Text<'t>) {
        if !self.finds {
            let text = self.meaning(text);
            self.finds = self.looks_like_something(&text);
        }
    }

    fn number(&mut self, number: Written<'t>) {
        let is_card = self.wanted.of(Kind::Card).is_some() && is_card(number.written);
        self.finds = self.finds || is_card;
    }

    fn begins(&mut self, _: portcullis_wire::json_gate::Kind) -> Result<usize, Fault> {
        self.finds = self.finds || self.has_elements;
        Ok(0)
    }
}

/// Whether a number is that of a card.
fn is_card(number: &[u8]) -> bool {
    number.iter().all(u8::is_ascii_digit) && card::is_number(number, false)
}

/// An array or object that is gone through.
struct Frame {
    is_object: bool,
    /// Which selectors may mean something in it.
    bits: u64,
    /// The place of the element, where it is an array.
    index: u64,
    /// Where the name of the member at hand begins, and how long it is as sent; where it is an object.
    name: usize,
    name_length: usize,
    /// Where the last member ends that stays; none if none has.
    kept: Option<usize>,
}

/// What becomes of a value.
#[derive(Clone, Copy)]
enum Fate {
    Stays,
    Goes,
}

/// Goes through a text that is strict JSON.
struct Walk<'w> {
    text: &'w [u8],
    at: usize,
    /// How much of the text is done with: written, or left out.
    copied: usize,
    frames: Vec<Frame>,
    selectors: &'w Selectors,
    wanted: &'w Treatments,
    findings: &'w mut Findings,
    out: Output,
}

impl<'w> Walk<'w> {
    fn run(&mut self) -> Result<(), NoMemory> {
        self.skip_blanks();
        let mut bits = self.selectors.at_root();
        let mut meant: Option<(Kind, Treatment)> = None;
        loop {
            let mut fate = match self.value(bits, meant)? {
                Some(fate) => fate,
                // It has begun, and has values.
                None => {
                    (bits, meant) = self.next_value();
                    continue;
                }
            };
            loop {
                self.settle(fate)?;
                self.skip_blanks();
                let here = self.here();
                if self.frames.is_empty() {
                    return Ok(());
                }
                self.at = self.at.saturating_add(1);
                if here == b',' {
                    if let Some(frame) = self.frames.last_mut() {
                        frame.index = frame.index.saturating_add(1);
                    }
                    (bits, meant) = self.next_value();
                    break;
                }
                self.frames.pop();
                fate = Fate::Stays;
            }
        }
    }

    /// Goes up to the value that comes next in what is open: which selectors may mean something in it, and what is
    /// to become of it.
    fn next_value(&mut self) -> (u64, Option<(Kind, Treatment)>) {
        self.skip_blanks();
        let depth = self.frames.len().saturating_sub(1);
        let (start, selectors) = (self.at, self.selectors);
        let Some((is_object, bits, index)) = self
            .frames
            .last()
            .map(|frame| (frame.is_object, frame.bits, frame.index))
        else {
            return (0, None);
        };
        if !is_object {
            let index = Digits::of(index);
            let (bits, treatment) = selectors.within(bits, depth, index.as_bytes(), false);
            return (bits, treatment.map(|treatment| (Kind::Member, treatment)));
        }
        let name = self.string();
        if let Some(frame) = self.frames.last_mut() {
            (frame.name, frame.name_length) = (start, name.len());
        }
        // Behind it stands a colon.
        self.skip_blanks();
        self.at = self.at.saturating_add(1);
        self.skip_blanks();
        let name = Spelling::Escaped.decode(name);
        let (bits, treatment) = selectors.within(bits, depth, &name, true);
        let meant = treatment.map(|treatment| (Kind::Member, treatment));
        let telling = Finder::new(&name, self.wanted).find_map(|place| {
            let treatment = self.wanted.of(place.kind)?;
            // There is no other name that it could have.
            Some((place.kind, treatment.max(Treatment::Remove)))
        });
        let is_more = |of: &(Kind, Treatment)| meant.is_none_or(|(_, before)| before < of.1);
        (bits, telling.filter(is_more).or(meant))
    }

    /// Takes in a value; none if it is one that has begun and has values of its own.
    fn value(
        &mut self,
        bits: u64,
        meant: Option<(Kind, Treatment)>,
    ) -> Result<Option<Fate>, NoMemory> {
        let start = self.at;
        if let Some((kind, treatment)) = meant {
            self.skip_value();
            return self.replace(start, kind, treatment, MASKED).map(Some);
        }
        match self.here() {
            b'"' => {
                let inside = self.string();
                self.string_fate(start, inside).map(Some)
            }
            open @ (b'{' | b'[') => {
                self.at = self.at.saturating_add(1);
                self.skip_blanks();
                if matches!(self.here(), b'}' | b']') {
                    self.at = self.at.saturating_add(1);
                    return Ok(Some(Fate::Stays));
                }
                self.frames.push(Frame {
                    is_object: open == b'{',
                    bits,
                    index: 0,
                    name: 0,
                    name_length: 0,
                    kept: None,
                });
                Ok(None)
            }
            _ => {
                self.skip_scalar();
                let number = self.text.get(start..self.at).unwrap_or_default();
                match self.wanted.of(Kind::Card).filter(|_| is_card(number)) {
                    None => Ok(Some(Fate::Stays)),
                    Some(treatment) => {
                        let mut masked = b"\"".to_vec();
                        mask(Kind::Card, number, &mut masked);
                        masked.push(b'"');
                        self.replace(start, Kind::Card, treatment, &masked)
                            .map(Some)
                    }
                }
            }
        }
    }

    /// What becomes of a string that began there.
    fn string_fate(&mut self, start: usize, inside: &[u8]) -> Result<Fate, NoMemory> {
        if self.wanted.is_empty() {
            return Ok(Fate::Stays);
        }
        let Self {
            findings,
            frames,
            text,
            wanted,
            ..
        } = self;
        let note = |kind, treatment| {
            findings.note(kind, treatment, || pointer(text, frames, wanted));
        };
        match rewrite(inside, Spelling::Escaped, wanted, note, true)? {
            Outcome::Untouched | Outcome::Forbidden => Ok(Fate::Stays),
            Outcome::Removed => self.take_out(start),
            Outcome::Rewritten(bytes, _memory) => {
                self.write(start.saturating_add(1), &bytes, self.at.saturating_sub(1))?;
                Ok(Fate::Stays)
            }
        }
    }

    /// Does with a value that began there, and is done with, what is to become of it.
    fn replace(
        &mut self,
        start: usize,
        kind: Kind,
        treatment: Treatment,
        masked: &[u8],
    ) -> Result<Fate, NoMemory> {
        let value = self.text.get(start..self.at).unwrap_or_default();
        let is_member = self.frames.last().is_some_and(|frame| frame.is_object);
        let says_nothing = match treatment {
            Treatment::Mask => value == masked || value == b"null",
            Treatment::Remove => !is_member && value == b"null",
            Treatment::Forbid => false,
        };
        if says_nothing {
            return Ok(Fate::Stays);
        }
        let place = || pointer(self.text, &self.frames, self.wanted);
        self.findings.note(kind, treatment, place);
        match treatment {
            Treatment::Forbid => Ok(Fate::Stays),
            Treatment::Remove => self.take_out(start),
            Treatment::Mask => {
                self.write(start, masked, self.at)?;
                Ok(Fate::Stays)
            }
        }
    }

    /// Takes out a value that began there.
    fn take_out(&mut self, start: usize) -> Result<Fate, NoMemory> {
        if self.frames.last().is_some_and(|frame| frame.is_object) {
            return Ok(Fate::Goes);
        }
        self.write(start, b"null", self.at)?;
        Ok(Fate::Stays)
    }

    /// A value is done with: of a member that goes, its name and a comma go too.
    fn settle(&mut self, fate: Fate) -> Result<(), NoMemory> {
        let end = self.at;
        let Some(frame) = self.frames.last_mut().filter(|frame| frame.is_object) else {
            return Ok(());
        };
        let (kept, name) = (frame.kept, frame.name);
        match (fate, kept) {
            (Fate::Stays, _) => frame.kept = Some(end),
            // The comma before it goes, or has gone with the member before it.
            (Fate::Goes, Some(kept)) => {
                self.write(kept.max(self.copied), b"", end)?;
            }
            // None stays before it: the comma behind it goes, if there is one.
            (Fate::Goes, None) => {
                self.skip_blanks();
                let behind = self.at;
                let goes_on = self.here() == b',';
                if goes_on {
                    self.at = self.at.saturating_add(1);
                    self.skip_blanks();
                }
                let next = if goes_on { self.at } else { end };
                self.at = behind;
                self.write(name.max(self.copied), b"", next)?;
            }
        }
        Ok(())
    }

    /// Writes what has not been written before a place, and these bytes for what stands from there to the end.
    fn write(&mut self, start: usize, bytes: &[u8], end: usize) -> Result<(), NoMemory> {
        if self.copied == 0 {
            self.out.make_room(self.text.len())?;
        }
        let before = self.text.get(self.copied..start).unwrap_or_default();
        self.out.push(before)?;
        self.out.push(bytes)?;
        self.copied = end;
        Ok(())
    }

    fn here(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        while let b' ' | b'\n' | b'\r' | b'\t' = self.here() {
            self.at = self.at.saturating_add(1);
        }
    }

    /// Takes in a string; what stands between its quotes, as sent.
    fn string(&mut self) -> &'w [u8] {
        let first = self.at.saturating_add(1);
        let inside = self.text.get(first..).unwrap_or_default();
        let Ok((text, rest)) = read_string(inside) else {
            self.at = self.text.len();
            return b"";
        };
        self.at = self.text.len().saturating_sub(rest.len());
        text.raw()
    }

    fn skip_scalar(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(**b, b'+' | b'-' | b'.');
        let length = rest.iter().take_while(is_part).count();
        self.at = self.at.saturating_add(length);
    }

    /// Skips a value, whatever stands in it.
    fn skip_value(&mut self) {
        let mut open: usize = 0;
        while self.at < self.text.len() {
            match self.here() {
                b'"' => _ = self.string(),
                b'{' | b'[' => {
                    open = open.saturating_add(1);
                    self.at = self.at.saturating_add(1);
                }
                b'}' | b']' => {
                    open = open.saturating_sub(1);
                    self.at = self.at.saturating_add(1);
                }
                b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => self.at = self.at.saturating_add(1),
                _ => self.skip_scalar(),
            }
            if open == 0 {
                return;
            }
        }
    }
}

/// The place of the value at hand: a JSON pointer that is cut where it is too long. A name that looks like something
/// itself is a star.
fn pointer(text: &[u8], frames: &[Frame], wanted: &Treatments) -> String {
    let mut pointer = String::new();
    for frame in frames {
        let step = match frame.is_object {
            false => frame.index.to_string(),
            true => {
                let first = frame.name.saturating_add(1);
                let raw = text.get(first..first.saturating_add(frame.name_length));
                step(raw.unwrap_or_default(), wanted)
            }
        };
        if pointer.len().saturating_add(step.len()) >= Findings::LONGEST_PLACE {
            pointer.push_str("/…");
            break;
        }
        pointer.push('/');
        pointer.push_str(&step);
    }
    pointer
}

fn step(raw: &[u8], wanted: &Treatments) -> String {
    if raw.len() >= Findings::LONGEST_PLACE {
        return "…".to_owned();
    }
    let name = Spelling::Escaped.decode(raw);
    if Finder::new(&name, wanted).next().is_some() {
        return "*".to_owned();
    }
    let name = String::from_utf8_lossy(&name);
    name.replace('~', "~0").replace('/', "~1")
}
