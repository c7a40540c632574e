//! WASI preview 1, as far as Envoy serves it: clock, randomness, environment and two outputs.

use super::LogLine;
use super::guest::{Answer, Args, Function, Guest, Import, Stop};

const BADF: u32 = 8;
const FAULT: u32 = 21;
const INVAL: u32 = 28;
const NOENT: u32 = 44;
const NOSYS: u32 = 52;
const NOTSUP: u32 = 58;

pub(super) const IMPORT: Import = Import {
    module: "wasi_snapshot_preview1",
    functions: FUNCTIONS,
    fault: FAULT,
};

const FUNCTIONS: &[Function] = &[
    ("args_get", "ii", |_, _| Ok(())),
    ("args_sizes_get", "ii", |guest, args| {
        guest.write_u32(args.u32(0), 0)?;
        guest.write_u32(args.u32(1), 0)
    }),
    ("clock_res_get", "ii", not_supported),
    ("clock_time_get", "iIi", clock_time_get),
    ("environ_get", "ii", environ_get),
    ("environ_sizes_get", "ii", environ_sizes_get),
    ("fd_advise", "iIIi", not_supported),
    ("fd_allocate", "iII", not_supported),
    ("fd_close", "i", no_system),
    ("fd_datasync", "i", not_supported),
    ("fd_fdstat_get", "ii", fd_fdstat_get),
    ("fd_fdstat_set_flags", "ii", no_system),
    ("fd_fdstat_set_rights", "iII", not_supported),
    ("fd_filestat_get", "ii", not_supported),
    ("fd_filestat_set_size", "iI", not_supported),
    ("fd_filestat_set_times", "iIIi", not_supported),
    ("fd_pread", "iiiIi", no_system),
    ("fd_prestat_dir_name", "iii", |_, _| Err(Stop::Status(BADF))),
    ("fd_prestat_get", "ii", |_, _| Err(Stop::Status(BADF))),
    ("fd_pwrite", "iiiIi", no_system),
    ("fd_read", "iiii", no_system),
    ("fd_readdir", "iiiIi", not_supported),
    ("fd_renumber", "ii", not_supported),
    ("fd_seek", "iIii", no_system),
    ("fd_sync", "i", not_supported),
    ("fd_tell", "ii", not_supported),
    ("fd_write", "iiii", fd_write),
    ("path_create_directory", "iii", not_supported),
    ("path_filestat_get", "iiiii", not_supported),
    ("path_filestat_set_times", "iiiiIIi", not_supported),
    ("path_link", "iiiiiii", not_supported),
    ("path_open", "iiiiiIIii", |_, _| Err(Stop::Status(NOENT))),
    ("path_readlink", "iiiiii", not_supported),
    ("path_remove_directory", "iii", not_supported),
    ("path_rename", "iiiiii", not_supported),
    ("path_symlink", "iiiii", not_supported),
    ("path_unlink_file", "iii", not_supported),
    ("poll_oneoff", "iiii", |_, _| Ok(())),
    ("proc_exit", "i", |_, args| {
        let message = format!("proc_exit({})", args.u32(0));
        Err(Stop::Trap(wasmi::Error::new(message)))
    }),
    ("random_get", "ii", random_get),
    ("sched_yield", "", |_, _| Ok(())),
    ("sock_accept", "iii", not_supported),
    ("sock_recv", "iiiiii", not_supported),
    ("sock_send", "iiiii", not_supported),
    ("sock_shutdown", "ii", not_supported),
];

fn not_supported(_: &mut Guest<'_>, _: &Args<'_>) -> Answer {
    Err(Stop::Status(NOTSUP))
}

fn no_system(_: &mut Guest<'_>, _: &Args<'_>) -> Answer {
    Err(Stop::Status(NOSYS))
}

fn clock_time_get(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    const REALTIME: u32 = 0;
    const MONOTONIC: u32 = 1;
    match args.u32(0) {
        REALTIME | MONOTONIC => {
            let now = guest.vm().server().now_nanos;
            guest.write_u64(args.u32(2), now)
        }
        _ => Err(Stop::Status(NOTSUP)),
    }
}

fn random_get(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    const MOST: u32 = 64 * 1024;
    let (at, len) = (args.u32(0), args.u32(1));
    if len > MOST {
        return Err(Stop::Status(INVAL));
    }
    let words = (0..len.div_ceil(8)).flat_map(|_| guest.vm().next_random().to_le_bytes());
    let bytes: Vec<u8> = words.take(len as usize).collect();
    guest.write(at, &bytes)
}

fn environment(guest: &mut Guest<'_>) -> Vec<Vec<u8>> {
    let variables = guest.vm().options.environment.iter();
    let line = |(name, value): &(String, String)| format!("{name}={value}\0").into_bytes();
    variables.map(line).collect()
}

fn environ_sizes_get(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let lines = environment(guest);
    let fits = |n: usize| u32::try_from(n).map_err(|_| Stop::Fault);
    guest.write_u32(args.u32(0), fits(lines.len())?)?;
    guest.write_u32(args.u32(1), fits(lines.concat().len())?)
}

fn environ_get(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let (mut pointer, mut at) = (args.u32(0), args.u32(1));
    for line in environment(guest) {
        guest.write_u32(pointer, at)?;
        guest.write(at, &line)?;
        pointer += 4;
        at += u32::try_from(line.len()).map_err(|_| Stop::Fault)?;
    }
    Ok(())
}

fn fd_fdstat_get(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    const CHARACTER_DEVICE: u8 = 2;
    const RIGHT_TO_WRITE: u64 = 1 << 6;
    if !matches!(args.u32(0), 1 | 2) {
        return Err(Stop::Status(BADF));
    }
    let mut state = [0; 24];
    state[0] = CHARACTER_DEVICE;
    state[8..16].copy_from_slice(&RIGHT_TO_WRITE.to_le_bytes());
    guest.write(args.u32(1), &state)
}

fn fd_write(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    const INFO: u32 = 2;
    const ERROR: u32 = 4;
    let level = match args.u32(0) {
        1 => INFO,
        2 => ERROR,
        _ => return Err(Stop::Status(BADF)),
    };
    let mut message = Vec::new();
    let vectors = guest.read(args.u32(1), args.u32(2).saturating_mul(8))?;
    for vector in vectors.chunks_exact(8) {
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| vector[at + i]));
        message.extend(guest.read(word(0), word(4))?);
    }
    guest.write_u32(
        args.u32(3),
        u32::try_from(message.len()).map_err(|_| Stop::Fault)?,
    )?;
    if message.ends_with(b"\n") {
        message.pop();
    }
    if !message.is_empty() {
        guest.vm().log.push(LogLine { level, message });
    }
    Ok(())
}
