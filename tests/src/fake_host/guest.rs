//! A host call in progress: its arguments, the module's memory, and how calls are linked.

use wasmi::{Caller, Error, Extern, ExternType, FuncType, Linker, Module, Val, ValType};

use super::state::{Stage, Vm};

/// Why a host call does not succeed.
pub(super) enum Stop {
    /// The call returns this status.
    Status(u32),
    /// The call names memory the module does not have.
    Fault,
    /// The call ends the VM.
    Trap(Error),
}

/// What a host call answers; `Ok` is status 0.
pub(super) type Answer = Result<(), Stop>;

/// One host function: name, parameters (`i` is 32 bits wide, `I` 64), what it does.
pub(super) type Function = (
    &'static str,
    &'static str,
    fn(&mut Guest<'_>, &Args<'_>) -> Answer,
);

/// Host functions of one import module.
pub(super) struct Import {
    pub(super) module: &'static str,
    pub(super) functions: &'static [Function],
    /// The status for memory the module does not have.
    pub(super) fault: u32,
}

/// Links the functions `module` imports, and refuses signatures the real host does not have.
pub(super) fn link(
    linker: &mut Linker<Vm>,
    module: &Module,
    imports: &[Import],
) -> Result<(), String> {
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        let ExternType::Func(ty) = import.ty() else {
            return Err(format!("{from}.{name} is not a function"));
        };
        let known = (imports.iter()).find_map(|i| {
            let function = i.functions.iter().find(|f| f.0 == name)?;
            (i.module == from).then_some((i.fault, *function))
        });
        let Some((fault, function)) = known else {
            return Err(format!("no host function {from}.{name}"));
        };
        if !fits(ty, function) {
            return Err(format!("{from}.{name} is imported as {ty:?}"));
        }
        define(linker, from, fault, function, ty.clone())?;
    }
    Ok(())
}

fn fits(ty: &FuncType, (name, parameters, _): Function) -> bool {
    let expected: Vec<ValType> = (parameters.chars())
        .map(|c| match c {
            'I' => ValType::I64,
            _ => ValType::I32,
        })
        .collect();
    let results: &[ValType] = match name {
        "proc_exit" => &[],
        _ => &[ValType::I32],
    };
    ty.params() == expected && ty.results() == results
}

fn define(
    linker: &mut Linker<Vm>,
    from: &str,
    fault: u32,
    (name, _, run): Function,
    ty: FuncType,
) -> Result<(), String> {
    let call = move |caller: Caller<'_, Vm>, args: &[Val], results: &mut [Val]| {
        let mut guest = Guest { caller };
        guest.vm().calls.count(name);
        guest.check_allowed(name)?;
        const INTERNAL_FAILURE: u32 = 10;
        let is_denied = guest.vm().options.denied.contains(&name);
        let ran = match is_denied {
            true => Err(Stop::Status(INTERNAL_FAILURE)),
            false => run(&mut guest, &Args(args)),
        };
        let status = match ran {
            Ok(()) => 0,
            Err(Stop::Status(status)) => status,
            Err(Stop::Fault) => fault,
            Err(Stop::Trap(error)) => return Err(error),
        };
        if let Some(result) = results.first_mut() {
            *result = Val::I32(status.cast_signed());
        }
        Ok(())
    };
    let linked = linker.func_new(from, name, ty, call);
    linked.map(|_| ()).map_err(|error| error.to_string())
}

/// The arguments of a call, by position. The signature was checked when the call was linked.
pub(super) struct Args<'a>(&'a [Val]);

impl Args<'_> {
    pub(super) fn u32(&self, at: usize) -> u32 {
        self.0[at].i32().expect("signature checked").cast_unsigned()
    }

    pub(super) fn i64(&self, at: usize) -> i64 {
        self.0[at].i64().expect("signature checked")
    }
}

/// The module that makes a call.
pub(super) struct Guest<'a> {
    caller: Caller<'a, Vm>,
}

impl Guest<'_> {
    pub(super) fn vm(&mut self) -> &mut Vm {
        self.caller.data_mut()
    }

    /// Few calls are open to a module that is not set up yet, or that allocates for the host.
    fn check_allowed(&mut self, name: &str) -> Result<(), Error> {
        const ALLOCATING: &[&str] = &[
            "proxy_log",
            "proxy_get_log_level",
            "proxy_get_current_time_nanoseconds",
            "clock_time_get",
            "fd_write",
            "proc_exit",
        ];
        let vm = self.vm();
        let allowed = if vm.allocating {
            ALLOCATING.contains(&name)
        } else if vm.stage == Stage::Initializing {
            ALLOCATING.contains(&name) || !name.starts_with("proxy_")
        } else {
            true
        };
        match allowed {
            true => Ok(()),
            false => Err(Error::new(format!("restricted_callback: {name}"))),
        }
    }

    pub(super) fn read(&mut self, at: u32, len: u32) -> Result<Vec<u8>, Stop> {
        let end = u64::from(at) + u64::from(len);
        let memory = self.memory()?;
        let bytes = (usize::try_from(end).ok()).and_then(|end| memory.get(at as usize..end));
        bytes.map(<[u8]>::to_vec).ok_or(Stop::Fault)
    }

    /// The bytes whose address and length are arguments `at` and `at + 1`.
    pub(super) fn bytes(&mut self, args: &Args<'_>, at: usize) -> Result<Vec<u8>, Stop> {
        self.read(args.u32(at), args.u32(at + 1))
    }

    pub(super) fn write(&mut self, at: u32, bytes: &[u8]) -> Answer {
        let memory = self.memory()?;
        let at = at as usize;
        let place = (at.checked_add(bytes.len())).and_then(|end| memory.get_mut(at..end));
        place.ok_or(Stop::Fault)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(super) fn write_u32(&mut self, at: u32, value: u32) -> Answer {
        self.write(at, &value.to_le_bytes())
    }

    pub(super) fn write_u64(&mut self, at: u32, value: u64) -> Answer {
        self.write(at, &value.to_le_bytes())
    }

    /// Hands bytes over: allocates in the module, which then owns them, and writes address and
    /// length where arguments `at` and `at + 1` say. No bytes are a null address.
    pub(super) fn give(&mut self, args: &Args<'_>, at: usize, bytes: &[u8]) -> Answer {
        let len = u32::try_from(bytes.len()).map_err(|_| Stop::Fault)?;
        let mut address = 0;
        if len > 0 {
            let allocate = self.vm().allocate.ok_or(Stop::Fault)?;
            self.vm().calls.returning_bytes += 1;
            self.vm().allocating = true;
            let allocated = allocate.call(&mut self.caller, len);
            self.vm().allocating = false;
            // That ends the VM, but not the call: what made it goes on, and is told that it failed.
            address = allocated.map_err(|_| {
                self.vm().failed = true;
                Stop::Fault
            })?;
            // The module has no memory for it, and says so.
            if address == 0 {
                return Err(Stop::Fault);
            }
            self.write(address, bytes)?;
        }
        self.write_u32(args.u32(at), address)?;
        self.write_u32(args.u32(at + 1), len)
    }

    fn memory(&mut self) -> Result<&mut [u8], Stop> {
        // Static initialisers may call before the instance is handed to us.
        let memory = match self.caller.data().memory {
            Some(memory) => memory,
            None => (self.caller.get_export("memory"))
                .and_then(Extern::into_memory)
                .ok_or(Stop::Fault)?,
        };
        Ok(memory.data_mut(&mut self.caller))
    }
}
