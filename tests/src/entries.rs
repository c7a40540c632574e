//! Which functions of a module are entered, and how much of their code runs: a build of the module that counts.
//!
//! [`counting`] puts a few instructions in front of each function, and of each piece of its code that runs as a whole or
//! not at all. They add one to a number of its own in a memory beside the module's, so that nothing the module sees or
//! measures is different, its memory least of all. A fake host reads the numbers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use wasm_encoder::{
    CodeSection, Encode, ExportKind, ExportSection, Instruction, MemArg, MemArgTarget,
    MemorySection, MemoryType, Module, RawSection,
};
use wasmparser::{
    BinaryReaderError, ExternalKind, FunctionBody, KnownCustom, Name, Operator, Parser, Payload,
};

/// The memory that the numbers stand in, by its export.
pub(crate) const MEMORY: &str = "portcullis_entries";
/// How much a number takes.
pub(crate) const WIDTH: usize = 4;
const PAGE: usize = 64 << 10;
/// Whether the module's own memory is the only one, so that ours is the next.
const OWN_MEMORIES: usize = 1;

/// A function of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// Its export, or its name where the module has names; else its number among the functions of the module.
    pub name: String,
    /// How long its code is.
    pub bytes: usize,
    /// How long each piece of it is that runs as a whole or not at all.
    pub pieces: Vec<usize>,
}

/// A module that counts, and its functions.
#[derive(Clone, Debug)]
pub struct Counting {
    /// The module.
    pub wasm: Vec<u8>,
    /// Its own functions, without those that it imports.
    pub functions: Vec<Function>,
}

/// A function that was entered.
#[derive(Clone, Debug)]
pub struct Entered {
    /// The function.
    pub function: Function,
    /// How often.
    pub times: u32,
    /// How much of its code has run.
    pub run: usize,
}

impl Counting {
    /// The functions that were entered, by the numbers that a fake host has read.
    pub fn entered(&self, numbers: &[u32]) -> Vec<Entered> {
        let mut numbers = numbers.iter().copied();
        let mut entered = Vec::new();
        for function in &self.functions {
            let times = numbers.next().unwrap_or_default();
            let pieces = function.pieces.iter().zip(numbers.by_ref());
            let run = pieces.filter(|(_, times)| *times > 0);
            let run = run.map(|(bytes, _)| bytes).sum();
            if times > 0 {
                let function = function.clone();
                entered.push(Entered {
                    function,
                    times,
                    run,
                });
            }
        }
        entered
    }
}

/// The same module with numbers.
///
/// # Errors
/// What is no module, and one that has no memory of its own or more than one.
pub fn counting(wasm: &[u8]) -> Result<Counting, String> {
    let read = Reading::of(wasm).map_err(|error| error.to_string())?;
    if read.memories.len() != OWN_MEMORIES {
        return Err(format!("{} memories", read.memories.len()));
    }
    let mut module = Module::new();
    let functions = read.functions().map_err(|error| error.to_string())?;
    let mut number = 0;
    let mut bodies = read.bodies.iter();
    for section in &read.sections {
        match *section {
            Section::Other(id, data) => {
                module.section(&RawSection { id, data });
            }
            Section::Memory => {
                let numbers = functions.iter().map(|function| 1 + function.pieces.len());
                module.section(&memories(&read, numbers.sum()));
            }
            Section::Export => {
                module.section(&exports(&read));
            }
            Section::Code => {
                let mut code = CodeSection::new();
                for body in bodies.by_ref() {
                    code.raw(&counted(&mut number, body).map_err(|error| error.to_string())?);
                }
                module.section(&code);
            }
        }
    }
    Ok(Counting {
        wasm: module.finish(),
        functions,
    })
}

enum Section<'a> {
    Other(u8, &'a [u8]),
    Memory,
    Export,
    Code,
}

/// What of a module is to be known or changed.
#[derive(Default)]
struct Reading<'a> {
    sections: Vec<Section<'a>>,
    memories: Vec<wasmparser::MemoryType>,
    exports: Vec<wasmparser::Export<'a>>,
    bodies: Vec<FunctionBody<'a>>,
    imported: u32,
    names: BTreeMap<u32, Cow<'a, str>>,
}

impl<'a> Reading<'a> {
    fn of(wasm: &'a [u8]) -> Result<Self, BinaryReaderError> {
        let mut read = Reading::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            let whole = payload.as_section();
            match payload {
                Payload::MemorySection(memories) => {
                    read.memories = memories.into_iter().collect::<Result<_, _>>()?;
                    read.sections.push(Section::Memory);
                }
                Payload::ExportSection(exports) => {
                    read.exports = exports.into_iter().collect::<Result<_, _>>()?;
                    read.sections.push(Section::Export);
                }
                Payload::CodeSectionStart { .. } => read.sections.push(Section::Code),
                Payload::CodeSectionEntry(body) => read.bodies.push(body),
                other => {
                    read.note(&other)?;
                    if let Some((id, range)) = whole {
                        let data = wasm.get(range).unwrap_or_default();
                        read.sections.push(Section::Other(id, data));
                    }
                }
            }
        }
        Ok(read)
    }

    fn note(&mut self, payload: &Payload<'a>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.clone() {
                    let is_function = matches!(import?.ty, wasmparser::TypeRef::Func(_));
                    self.imported += u32::from(is_function);
                }
            }
            Payload::CustomSection(custom) => {
                if let KnownCustom::Name(names) = custom.as_known() {
                    for name in names {
                        let Name::Function(functions) = name? else {
                            continue;
                        };
                        for function in functions {
                            let function = function?;
                            self.names.insert(function.index, function.name.into());
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn functions(&self) -> Result<Vec<Function>, BinaryReaderError> {
        let named = |number: u32| {
            let exported = self.exports.iter();
            let mut exported = exported
                .filter(|export| export.kind == ExternalKind::Func && export.index == number);
            match (exported.next(), self.names.get(&number)) {
                (Some(export), _) => export.name.to_owned(),
                (None, Some(name)) => name.clone().into_owned(),
                (None, None) => format!("function {number}"),
            }
        };
        let bodies = (self.imported..).zip(&self.bodies);
        bodies
            .map(|(number, body)| {
                let starts = pieces(body)?;
                let ends = starts.iter().skip(1).copied();
                let ends = ends.chain([body.range().end]);
                Ok(Function {
                    name: named(number),
                    bytes: body.range().len(),
                    pieces: starts
                        .iter()
                        .zip(ends)
                        .map(|(from, to)| to - from)
                        .collect(),
                })
            })
            .collect()
    }
}

/// Where pieces of a body begin that run as a whole or not at all: wherever its way divides, or comes together.
fn pieces(body: &FunctionBody<'_>) -> Result<Vec<usize>, BinaryReaderError> {
    let mut operators = body.get_operators_reader()?;
    let mut starts = vec![operators.original_position()];
    while !operators.eof() {
        let ends = matches!(
            operators.read()?,
            Operator::Loop { .. }
                | Operator::If { .. }
                | Operator::Else
                | Operator::End
                | Operator::Br { .. }
                | Operator::BrIf { .. }
                | Operator::BrTable { .. }
                | Operator::Return
                | Operator::Unreachable
        );
        if ends && !operators.eof() {
            starts.push(operators.original_position());
        }
    }
    Ok(starts)
}

fn memories(read: &Reading<'_>, numbers: usize) -> MemorySection {
    let mut section = MemorySection::new();
    for memory in &read.memories {
        section.memory(MemoryType {
            minimum: memory.initial,
            maximum: memory.maximum,
            memory64: memory.memory64,
            shared: memory.shared,
            page_size_log2: memory.page_size_log2,
        });
    }
    let pages = (numbers * WIDTH).div_ceil(PAGE) as u64;
    section.memory(MemoryType {
        minimum: pages,
        maximum: Some(pages),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    section
}

fn exports(read: &Reading<'_>) -> ExportSection {
    let mut section = ExportSection::new();
    for export in &read.exports {
        let kind = match export.kind {
            ExternalKind::Func => ExportKind::Func,
            ExternalKind::Table => ExportKind::Table,
            ExternalKind::Memory => ExportKind::Memory,
            ExternalKind::Global => ExportKind::Global,
            ExternalKind::Tag => ExportKind::Tag,
        };
        section.export(export.name, kind, export.index);
    }
    section.export(MEMORY, ExportKind::Memory, OWN_MEMORIES as u32);
    section
}

/// The body of a function, with its locals, that counts before it does anything, and before each of its pieces.
fn counted(number: &mut usize, body: &FunctionBody<'_>) -> Result<Vec<u8>, BinaryReaderError> {
    let (whole, begins) = (body.as_bytes(), body.range().start);
    let mut bytes = Vec::with_capacity(whole.len() * 3);
    let mut from = 0;
    for (place, piece) in pieces(body)?.into_iter().enumerate() {
        let at = piece - begins;
        bytes.extend_from_slice(whole.get(from..at).unwrap_or_default());
        from = at;
        if place == 0 {
            count(number, &mut bytes);
        }
        count(number, &mut bytes);
    }
    bytes.extend_from_slice(whole.get(from..).unwrap_or_default());
    Ok(bytes)
}

/// Adds one to the next number.
fn count(number: &mut usize, bytes: &mut Vec<u8>) {
    let own = MemArg {
        offset: 0,
        align: 2,
        target: MemArgTarget::Memory(OWN_MEMORIES as u32),
        ordering: None,
    };
    let place = Instruction::I32Const((*number * WIDTH) as i32);
    *number += 1;
    for instruction in [
        place.clone(),
        place,
        Instruction::I32Load(own),
        Instruction::I32Const(1),
        Instruction::I32Add,
        Instruction::I32Store(own),
    ] {
        instruction.encode(bytes);
    }
}

#[cfg(test)]
mod tests {
    use wasmi::{Engine, Linker, Module, Store};

    use super::*;

    #[test]
    fn functions_are_counted_and_nothing_else_is_different() {
        let text = r#"(module
            (memory (export "memory") 1)
            (func $twice (param i32) (result i32) (local i32)
                (i32.add (local.get 0) (local.get 0)))
            (func $never)
            (func (export "run") (result i32)
                (if (i32.const 0) (then (call $never) (call $never)))
                (call $twice (call $twice (i32.const 3)))))"#;
        let counting = counting(&wat::parse_str(text).unwrap()).unwrap();
        let names: Vec<&str> = counting.functions.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["twice", "never", "run"]);
        let engine = Engine::default();
        let module = Module::new(&engine, &counting.wasm).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine)
            .instantiate_and_start(&mut store, &module)
            .unwrap();
        let run = instance.get_typed_func::<(), i32>(&store, "run").unwrap();
        assert_eq!(run.call(&mut store, ()).unwrap(), 12);
        let numbers = instance.get_memory(&store, MEMORY).unwrap();
        let numbers = numbers.data(&store).chunks_exact(WIDTH);
        let numbers = numbers.map(|number| u32::from_le_bytes(number.try_into().unwrap()));
        let entered = counting.entered(&numbers.collect::<Vec<u32>>());
        let entered = entered.iter();
        let entered: Vec<_> = entered
            .map(|each| (&*each.function.name, each.times, each.run))
            .collect();
        // All but the locals of the first, and of the second also what stands between `then` and `end`.
        let [twice, _, run] = &counting.functions[..] else {
            unreachable!()
        };
        let skipped = run.pieces[1];
        assert!(skipped > 0);
        assert_eq!(
            entered,
            [
                ("twice", 2, twice.pieces.iter().sum()),
                ("run", 1, run.pieces.iter().sum::<usize>() - skipped),
            ]
        );
        assert!(twice.bytes > entered[0].2 && run.bytes > entered[1].2 + skipped);
        let own = instance.get_memory(&store, "memory").unwrap();
        assert!(own.data(&store).iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_is_no_module_is_said() {
        assert!(counting(b"no module").is_err());
        assert!(counting(&wat::parse_str("(module)").unwrap()).is_err());
    }
}
