//! Modules that have been read and checked, for all hosts of this process.

use std::sync::{Mutex, PoisonError};

use wasmi::{CompilationMode, Config, Engine, Module};

/// A module takes longer to be read and checked than most tests take in it. What it holds of code that
/// was translated depends on its bytes alone: hosts share no memory, no globals and no limits.
static READ: Mutex<Vec<(Box<[u8]>, Module)>> = Mutex::new(Vec::new());

/// How many are kept. Suites that alter a module in many ways have no use for each again.
const MOST: usize = 4;

/// The module with these bytes.
pub(super) fn read(wasm: &[u8]) -> Result<Module, wasmi::Error> {
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, module)) = read.iter().find(|(bytes, _)| **bytes == *wasm) {
        return Ok(module.clone());
    }
    // Rust code nests deeper than the interpreter's defaults allow, and V8 lets it.
    let mut config = Config::default();
    config.set_max_recursion_depth(32 * 1024);
    config.set_max_stack_height(8 << 20);
    config.compilation_mode(CompilationMode::LazyTranslation);
    let module = Module::new(&Engine::new(&config), wasm)?;
    if read.len() == MOST {
        read.remove(0);
    }
    read.push((wasm.into(), module.clone()));
    Ok(module)
}
