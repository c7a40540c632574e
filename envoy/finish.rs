//! Makes of a module as it is linked the one that a proxy loads: `finish FROM TO`.
//!
//! The SDK of proxy-wasm exports a function for each callback of the ABI, and no module that is linked with it can have
//! another of that name. So the module's own are linked as `portcullis_on_…`, and here they take the place of the
//! SDK's `proxy_on_…`, which is left out, as are those that the module has no use for.
//!
//! Then functions go that nothing leads to any more, and of those that are the same in every byte all but one; those
//! that are called most come first, since their numbers are short there. What is left does what it did. A module that
//! has been through it stays as it is.

use std::collections::{BTreeSet, HashMap};
use std::process::ExitCode;

/// What functions are linked as that take the place of the SDK's.
const OWN: &str = "portcullis_on_";
/// What callbacks are called.
const CALLBACK: &str = "proxy_on_";

/// Callbacks of the SDK's that a module with its own has no use for: a request has nothing that is to be deleted,
/// and there are no connections, calls over gRPC, queues and functions of the proxy's that would call back.
const UNUSED: [&str; 12] = [
    "proxy_on_delete",
    "proxy_on_downstream_connection_close",
    "proxy_on_downstream_data",
    "proxy_on_foreign_function",
    "proxy_on_grpc_close",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_receive_initial_metadata",
    "proxy_on_grpc_receive_trailing_metadata",
    "proxy_on_new_connection",
    "proxy_on_queue_ready",
    "proxy_on_upstream_connection_close",
    "proxy_on_upstream_data",
];

mod section {
    pub(super) const CUSTOM: u8 = 0;
    pub(super) const IMPORTS: u8 = 2;
    pub(super) const FUNCTIONS: u8 = 3;
    pub(super) const GLOBALS: u8 = 6;
    pub(super) const EXPORTS: u8 = 7;
    pub(super) const START: u8 = 8;
    pub(super) const ELEMENTS: u8 = 9;
    pub(super) const CODE: u8 = 10;
}

/// An import or an export of this kind is a function.
const FUNCTION: u8 = 0;
/// Numbers below this one take a byte.
const SHORT: usize = 128;

/// Bytes of a module that are read in order; none where they end too soon.
#[derive(Clone)]
struct Bytes<'m>(&'m [u8]);

impl<'m> Bytes<'m> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, length: usize) -> Option<&'m [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number in LEB128, without its sign: who needs that only passes over it.
    fn number(&mut self) -> Option<usize> {
        let mut number = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return usize::try_from(number).ok();
            }
        }
        None
    }

    fn sized(&mut self) -> Option<&'m [u8]> {
        let size = self.number()?;
        self.take(size)
    }

    fn pass(&mut self, numbers: usize) -> Option<()> {
        (0..numbers).try_for_each(|_| self.number().map(|_| ()))
    }
}

fn write(out: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        out.push(if number == 0 { low } else { low | 0x80 });
        if number == 0 {
            return;
        }
    }
}

/// An export, by its name as the linker wrote it and as a proxy is to find it.
struct Export<'m> {
    linked: &'m str,
    name: String,
    kind: u8,
    index: usize,
}

/// The body of a function: what stands before each function that it calls or refers to, that function, and the rest.
struct Body<'m> {
    calls: Vec<(&'m [u8], usize)>,
    rest: &'m [u8],
}

/// What of a module is to be changed.
#[derive(Default)]
struct Module<'m> {
    imported: usize,
    types: Vec<usize>,
    exports: Vec<Export<'m>>,
    start: Option<usize>,
    /// Where in the table functions stand, and which.
    elements: Vec<(&'m [u8], Vec<usize>)>,
    bodies: Vec<Body<'m>>,
}

impl<'m> Module<'m> {
    fn read(&mut self, id: u8, data: &'m [u8]) -> Option<()> {
        let mut bytes = Bytes(data);
        match id {
            section::IMPORTS => {
                for _ in 0..bytes.number()? {
                    bytes.sized()?;
                    bytes.sized()?;
                    // The linker imports nothing else.
                    (bytes.byte()? == FUNCTION).then_some(())?;
                    bytes.number()?;
                    self.imported += 1;
                }
            }
            section::FUNCTIONS => {
                let count = bytes.number()?;
                let types: Option<Vec<usize>> = (0..count).map(|_| bytes.number()).collect();
                self.types = types?;
            }
            section::GLOBALS => {
                for _ in 0..bytes.number()? {
                    global(&mut bytes)?;
                }
            }
            section::EXPORTS => {
                for _ in 0..bytes.number()? {
                    let linked = std::str::from_utf8(bytes.sized()?).ok()?;
                    self.exports.push(Export {
                        linked,
                        name: linked.to_owned(),
                        kind: bytes.byte()?,
                        index: bytes.number()?,
                    });
                }
            }
            section::START => self.start = Some(bytes.number()?),
            section::ELEMENTS => {
                for _ in 0..bytes.number()? {
                    self.elements.push(elements(&mut bytes)?);
                }
            }
            section::CODE => {
                for _ in 0..bytes.number()? {
                    self.bodies.push(body(bytes.sized()?)?);
                }
            }
            _ => return Some(()),
        }
        bytes.0.is_empty().then_some(())
    }

    /// Gives the exports the names by which a proxy finds them.
    fn rename(&mut self) {
        let callback = |linked: &str| {
            let own = linked.strip_prefix(OWN)?;
            Some(format!("{CALLBACK}{own}"))
        };
        let taken = self.exports.iter();
        let taken: BTreeSet<String> = taken.filter_map(|each| callback(each.linked)).collect();
        if taken.is_empty() {
            return;
        }
        self.exports
            .retain(|each| !taken.contains(each.linked) && !UNUSED.contains(&each.linked));
        for each in &mut self.exports {
            if let Some(name) = callback(each.linked) {
                each.name = name;
            }
        }
    }

    /// The functions that something leads to, the imported ones among them.
    fn live(&self) -> Option<Vec<bool>> {
        let mut live = vec![false; self.imported + self.bodies.len()];
        let exported = self.exports.iter().filter(|each| each.kind == FUNCTION);
        let mut reached: Vec<usize> = exported.map(|each| each.index).collect();
        reached.extend(self.start);
        reached.extend(self.elements.iter().flat_map(|(_, functions)| functions));
        while let Some(function) = reached.pop() {
            if !std::mem::replace(live.get_mut(function)?, true)
                && let Some(own) = function.checked_sub(self.imported)
            {
                let calls = self.bodies.get(own)?.calls.iter();
                reached.extend(calls.map(|(_, called)| *called));
            }
        }
        Some(live)
    }

    /// For each function the first one that is the same: of its type, in its bytes, and in what it calls.
    fn merged(&self, live: &[bool]) -> Option<Vec<usize>> {
        let mut first: Vec<usize> = (0..live.len()).collect();
        loop {
            let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
            let mut next = first.clone();
            for (own, (body, kind)) in self.bodies.iter().zip(&self.types).enumerate() {
                let function = self.imported + own;
                if !*live.get(function)? {
                    continue;
                }
                let mut written = Vec::new();
                write(&mut written, *kind);
                // Numbers of one length, so that nothing else reads like them.
                for (before, called) in &body.calls {
                    written.extend_from_slice(&before.len().to_le_bytes());
                    written.extend_from_slice(before);
                    written.extend_from_slice(&first.get(*called)?.to_le_bytes());
                }
                written.extend_from_slice(body.rest);
                *next.get_mut(function)? = *known.entry(written).or_insert(function);
            }
            if next == first {
                return Some(first);
            }
            first = next;
        }
    }

    /// The functions that stay, in order.
    fn order(&self, live: &[bool], merged: &[usize]) -> Option<Vec<usize>> {
        let stays = |function: &usize| {
            live.get(*function) == Some(&true) && merged.get(*function) == Some(function)
        };
        let own: Vec<usize> = (self.imported..live.len()).filter(stays).collect();
        let mut calls: HashMap<usize, usize> = HashMap::new();
        for function in &own {
            for (_, called) in &self.bodies.get(function - self.imported)?.calls {
                *calls.entry(*merged.get(*called)?).or_default() += 1;
            }
        }
        let count = |function: &usize| calls.get(function).copied().unwrap_or_default();
        let mut most = own.clone();
        most.sort_by_key(|function| (std::cmp::Reverse(count(function)), *function));
        most.truncate(SHORT.saturating_sub(self.imported));
        let rest = own.into_iter().filter(|function| !most.contains(function));
        let rest: Vec<usize> = rest.collect();
        Some((0..self.imported).chain(most).chain(rest).collect())
    }
}

/// Passes over a global variable of the linker's: a number. One that refers to a function would have to be changed.
fn global(bytes: &mut Bytes<'_>) -> Option<()> {
    const END: u8 = 0x0b;
    bytes.take(2)?;
    match bytes.byte()? {
        0x23 | 0x41 | 0x42 => bytes.pass(1)?,
        0x43 => drop(bytes.take(4)?),
        0x44 => drop(bytes.take(8)?),
        _ => return None,
    }
    (bytes.byte()? == END).then_some(())
}

/// A part of a table of the linker's.
fn elements<'m>(bytes: &mut Bytes<'m>) -> Option<(&'m [u8], Vec<usize>)> {
    const CONSTANT: u8 = 0x41;
    const END: u8 = 0x0b;
    let before = bytes.0;
    (bytes.number()? == 0 && bytes.byte()? == CONSTANT).then_some(())?;
    bytes.number()?;
    (bytes.byte()? == END).then_some(())?;
    let place = before.get(..before.len() - bytes.0.len())?;
    let count = bytes.number()?;
    let functions: Option<Vec<usize>> = (0..count).map(|_| bytes.number()).collect();
    Some((place, functions?))
}

/// Reads a body. None where it has instructions that are not known here.
fn body(whole: &[u8]) -> Option<Body<'_>> {
    let mut bytes = Bytes(whole);
    for _ in 0..bytes.number()? {
        bytes.number()?;
        // The types of values that take one byte.
        matches!(bytes.byte()?, 0x6f | 0x70 | 0x7b..=0x7f).then_some(())?;
    }
    let (mut calls, mut rest) = (Vec::new(), whole);
    while !bytes.0.is_empty() {
        match bytes.byte()? {
            // A call, and a function as a value.
            0x10 | 0x12 | 0xd2 => {
                let before = rest.get(..rest.len() - bytes.0.len())?;
                calls.push((before, bytes.number()?));
                rest = bytes.0;
            }
            // Blocks, whose types take one number unless they refer to what has a type of its own.
            0x02..=0x04 => {
                let is_longer = matches!(bytes.0.first(), Some(0x63 | 0x64));
                (!is_longer).then_some(())?;
                bytes.pass(1)?;
            }
            // Branches, locals, globals, tables.
            0x0c | 0x0d | 0x20..=0x26 => bytes.pass(1)?,
            0x0e => {
                let count = bytes.number()?;
                bytes.pass(count.checked_add(1)?)?;
            }
            0x11 | 0x13 => bytes.pass(2)?,
            0x1c => {
                let count = bytes.number()?;
                bytes.pass(count)?;
            }
            // Loads and stores, of one memory.
            0x28..=0x3e => {
                (bytes.number()? < 0x40).then_some(())?;
                bytes.pass(1)?;
            }
            0x3f | 0x40 | 0x41 | 0x42 | 0xd0 => bytes.pass(1)?,
            0x43 => drop(bytes.take(4)?),
            0x44 => drop(bytes.take(8)?),
            0xfc => match bytes.number()? {
                0..=7 => {}
                8 | 10 | 12 | 14 => bytes.pass(2)?,
                9 | 11 | 13 | 15..=17 => bytes.pass(1)?,
                _ => return None,
            },
            0x00 | 0x01 | 0x05 | 0x0b | 0x0f | 0x1a | 0x1b | 0x45..=0xc4 | 0xd1 => {}
            _ => return None,
        }
    }
    Some(Body { calls, rest })
}

/// The module in the making.
struct Finished<'a, 'm> {
    module: &'a Module<'m>,
    /// The functions that stay, in order.
    order: Vec<usize>,
    /// The number of each function; none of one that is gone.
    numbers: Vec<Option<usize>>,
}

impl<'a, 'm> Finished<'a, 'm> {
    fn of(module: &'a Module<'m>) -> Option<Self> {
        let live = module.live()?;
        let merged = module.merged(&live)?;
        let order = module.order(&live, &merged)?;
        let mut numbers = vec![None; live.len()];
        for (number, function) in order.iter().enumerate() {
            *numbers.get_mut(*function)? = Some(number);
        }
        let numbers = merged
            .iter()
            .map(|first| numbers.get(*first).copied().flatten());
        Some(Self {
            module,
            numbers: numbers.collect(),
            order,
        })
    }

    fn number(&self, function: usize) -> Option<usize> {
        *self.numbers.get(function)?
    }

    fn own(&self) -> impl ExactSizeIterator<Item = usize> {
        let imported = self.module.imported;
        let own = self.order.iter().skip(imported);
        own.map(move |function| function - imported)
    }

    /// A section; none stays as it is.
    fn section(&self, id: u8, data: &[u8]) -> Option<Option<Vec<u8>>> {
        let mut out = Vec::with_capacity(data.len());
        match id {
            section::FUNCTIONS => {
                write(&mut out, self.own().len());
                for own in self.own() {
                    write(&mut out, *self.module.types.get(own)?);
                }
            }
            section::EXPORTS => {
                write(&mut out, self.module.exports.len());
                for export in &self.module.exports {
                    write(&mut out, export.name.len());
                    out.extend_from_slice(export.name.as_bytes());
                    out.push(export.kind);
                    let index = match export.kind {
                        FUNCTION => self.number(export.index)?,
                        _ => export.index,
                    };
                    write(&mut out, index);
                }
            }
            section::START => write(&mut out, self.number(self.module.start?)?),
            section::ELEMENTS => {
                write(&mut out, self.module.elements.len());
                for (place, functions) in &self.module.elements {
                    out.extend_from_slice(place);
                    write(&mut out, functions.len());
                    for function in functions {
                        write(&mut out, self.number(*function)?);
                    }
                }
            }
            section::CODE => {
                write(&mut out, self.own().len());
                let mut written = Vec::new();
                for own in self.own() {
                    let body = self.module.bodies.get(own)?;
                    written.clear();
                    for (before, called) in &body.calls {
                        written.extend_from_slice(before);
                        write(&mut written, self.number(*called)?);
                    }
                    written.extend_from_slice(body.rest);
                    write(&mut out, written.len());
                    out.extend_from_slice(&written);
                }
            }
            section::CUSTOM => {
                let mut bytes = Bytes(data);
                if bytes.sized()? != b"name" {
                    return Some(None);
                }
                out = b"\x04name".to_vec();
                self.names(bytes, &mut out)?;
            }
            _ => return Some(None),
        }
        Some(Some(out))
    }

    /// The names of functions, where they are left, and none of what is in them.
    fn names(&self, mut bytes: Bytes<'_>, out: &mut Vec<u8>) -> Option<()> {
        const OF_FUNCTIONS: u8 = 1;
        while !bytes.0.is_empty() {
            let part = bytes.byte()?;
            let mut named = Bytes(bytes.sized()?);
            if part != OF_FUNCTIONS {
                continue;
            }
            let mut names: HashMap<usize, &[u8]> = HashMap::new();
            for _ in 0..named.number()? {
                names.insert(named.number()?, named.sized()?);
            }
            let mut written = Vec::new();
            let stay = self.order.iter().enumerate();
            let stay = stay.filter_map(|(number, function)| Some((number, names.get(function)?)));
            let stay: Vec<_> = stay.collect();
            write(&mut written, stay.len());
            for (number, name) in stay {
                write(&mut written, number);
                write(&mut written, name.len());
                written.extend_from_slice(name);
            }
            out.push(part);
            write(out, written.len());
            out.extend_from_slice(&written);
        }
        Some(())
    }
}

/// The module as a proxy is to have it. None if it is no module of the linker's.
pub(crate) fn finished(linked: &[u8]) -> Option<Vec<u8>> {
    const HEAD: &[u8] = b"\0asm\x01\0\0\0";
    let mut bytes = Bytes(linked);
    let mut out = bytes.take(HEAD.len())?.to_vec();
    (out == HEAD).then_some(())?;
    let (mut module, mut sections) = (Module::default(), Vec::new());
    while !bytes.0.is_empty() {
        let (id, data) = (bytes.byte()?, bytes.sized()?);
        module.read(id, data)?;
        sections.push((id, data));
    }
    // It may have ended between the two.
    (module.bodies.len() == module.types.len()).then_some(())?;
    module.rename();
    let finished = Finished::of(&module)?;
    for (id, data) in sections {
        let changed = finished.section(id, data)?;
        let data = changed.as_deref().unwrap_or(data);
        out.push(id);
        write(&mut out, data.len());
        out.extend_from_slice(data);
    }
    Some(out)
}

/// The program.
#[allow(dead_code, reason = "tests have their own")]
fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: finish FROM TO");
        return ExitCode::from(2);
    };
    let written = match std::fs::read(&from) {
        Ok(linked) => match finished(&linked) {
            Some(module) => std::fs::write(&to, module),
            None => {
                eprintln!("finish: {from} is no module as the linker writes it");
                return ExitCode::FAILURE;
            }
        },
        Err(error) => Err(error),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("finish: {error}");
            ExitCode::FAILURE
        }
    }
}
