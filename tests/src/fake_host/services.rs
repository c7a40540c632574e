//! The `env` functions that are not about the stream: metrics, shared cells, queues, properties,
//! foreign functions, the clock, calls to other services.

use std::collections::VecDeque;

use super::abi::{BAD_ARGUMENT, CAS_MISMATCH, EMPTY, NOT_FOUND, PARSE_FAILURE};
use super::guest::{Answer, Args, Function, Guest, Stop};
use super::properties;
use super::state::{Cell, MetricKind, OutgoingCall, Queue};

pub(super) const FUNCTIONS: &[Function] = &[
    (
        "proxy_call_foreign_function",
        "iiiiii",
        call_foreign_function,
    ),
    ("proxy_define_metric", "iiii", define_metric),
    ("proxy_dequeue_shared_queue", "iii", dequeue),
    ("proxy_enqueue_shared_queue", "iii", enqueue),
    ("proxy_get_current_time_nanoseconds", "i", |guest, args| {
        let now = guest.vm().server().now_nanos;
        guest.write_u64(args.u32(0), now)
    }),
    ("proxy_get_metric", "ii", get_metric),
    ("proxy_get_property", "iiii", |guest, args| {
        let path = guest.bytes(args, 0)?;
        let value = properties::read(guest.vm(), &path).ok_or(Stop::Status(NOT_FOUND))?;
        guest.give(args, 2, &value)
    }),
    ("proxy_get_shared_data", "iiiii", get_shared_data),
    // No cluster speaks gRPC.
    ("proxy_grpc_call", "iiiiiiiiiiii", |_, _| {
        Err(Stop::Status(PARSE_FAILURE))
    }),
    ("proxy_grpc_cancel", "i", not_found),
    ("proxy_grpc_close", "i", not_found),
    ("proxy_grpc_send", "iiii", not_found),
    ("proxy_grpc_stream", "iiiiiiiii", |_, _| {
        Err(Stop::Status(PARSE_FAILURE))
    }),
    ("proxy_http_call", "iiiiiiiiii", http_call),
    ("proxy_increment_metric", "iI", increment_metric),
    ("proxy_record_metric", "iI", record_metric),
    ("proxy_register_shared_queue", "iii", register_queue),
    ("proxy_resolve_shared_queue", "iiiii", resolve_queue),
    ("proxy_set_property", "iiii", |guest, args| {
        let (path, value) = (guest.bytes(args, 0)?, guest.bytes(args, 2)?);
        let stream = guest.vm().stream_mut().ok_or(Stop::Status(NOT_FOUND))?;
        let key = [b"wasm.", path.as_slice()].concat();
        stream.filter_state.insert(key, value);
        Ok(())
    }),
    ("proxy_set_shared_data", "iiiii", set_shared_data),
    ("proxy_set_tick_period_milliseconds", "i", |guest, args| {
        if guest.vm().options.refuses_ticks {
            return Err(Stop::Status(BAD_ARGUMENT));
        }
        let (vm, period) = (guest.vm(), args.u32(0));
        let (root, effective) = (vm.root, vm.effective_context);
        match vm.roots.get_mut(&effective) {
            Some(ticks) => *ticks = period,
            None => {
                vm.roots.insert(root, period);
            }
        }
        Ok(())
    }),
];

fn not_found(_: &mut Guest<'_>, _: &Args<'_>) -> Answer {
    Err(Stop::Status(NOT_FOUND))
}

/// A call to a cluster that a test has named. It is answered when the test says so.
fn http_call(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let (cluster, body) = (guest.bytes(args, 0)?, guest.bytes(args, 4)?);
    let vm = guest.vm();
    if !vm.clusters.contains(&cluster) {
        return Err(Stop::Status(BAD_ARGUMENT));
    }
    vm.last_call += 1;
    let (number, effective) = (vm.last_call, vm.effective_context);
    let root = match vm.roots.contains_key(&effective) {
        true => effective,
        false => vm.root,
    };
    vm.called.push(OutgoingCall {
        number,
        root,
        cluster,
        body,
    });
    guest.write_u32(args.u32(9), number)
}

fn call_foreign_function(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let (name, argument) = (guest.bytes(args, 0)?, guest.bytes(args, 2)?);
    let function = guest.vm().functions.get(&name).cloned();
    let (status, result) = function.ok_or(Stop::Status(NOT_FOUND))?(&argument);
    match status {
        0 => guest.give(args, 4, &result),
        status => Err(Stop::Status(status)),
    }
}

// Metrics. The two low bits of an id are its kind.

fn define_metric(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let kind = match args.u32(0) {
        0 => MetricKind::Counter,
        1 => MetricKind::Gauge,
        2 => MetricKind::Histogram,
        _ => return Err(Stop::Status(BAD_ARGUMENT)),
    };
    let name = guest.bytes(args, 1)?;
    let name = String::from_utf8_lossy(&name).into_owned();
    let vm = guest.vm();
    let next = u32::try_from(vm.metrics.len()).expect("fewer than 2^30 metrics") + 1;
    let id = next << 2 | kind as u32;
    vm.metrics.insert(id, (name.clone(), kind));
    vm.server().stats.entry((name, kind)).or_default();
    guest.write_u32(args.u32(3), id)
}

fn get_metric(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let (name, kind) = metric(guest, args.u32(0))?;
    if kind == MetricKind::Histogram {
        return Err(Stop::Status(BAD_ARGUMENT));
    }
    let value = guest
        .vm()
        .server()
        .stats
        .entry((name, kind))
        .or_default()
        .value;
    guest.write_u64(args.u32(1), value)
}

fn increment_metric(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let (name, kind) = metric(guest, args.u32(0))?;
    let offset = args.i64(1);
    if kind == MetricKind::Histogram || kind == MetricKind::Counter && offset <= 0 {
        return Err(Stop::Status(BAD_ARGUMENT));
    }
    let mut server = guest.vm().server();
    let stat = server.stats.entry((name, kind)).or_default();
    stat.value = stat.value.wrapping_add_signed(offset);
    Ok(())
}

fn record_metric(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let (name, kind) = metric(guest, args.u32(0))?;
    let value = args.i64(1).cast_unsigned();
    let mut server = guest.vm().server();
    let stat = server.stats.entry((name, kind)).or_default();
    match kind {
        MetricKind::Counter => stat.value = stat.value.wrapping_add(value),
        MetricKind::Gauge => stat.value = value,
        MetricKind::Histogram => stat.recorded.push(value),
    }
    Ok(())
}

fn metric(guest: &mut Guest<'_>, id: u32) -> Result<(String, MetricKind), Stop> {
    (guest.vm().metrics.get(&id).cloned()).ok_or(Stop::Status(NOT_FOUND))
}

// Shared cells

fn get_shared_data(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let key = guest.bytes(args, 0)?;
    let vm = guest.vm();
    let key = (vm.options.vm_id.clone(), key);
    let cell = (vm.server().cells.get(&key)).map(|cell| (cell.value.clone(), cell.cas));
    let (value, cas) = cell.ok_or(Stop::Status(NOT_FOUND))?;
    guest.give(args, 2, &value)?;
    guest.write_u32(args.u32(4), cas)
}

/// A CAS number is compared only with that of a key that exists.
fn set_shared_data(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let (key, value, cas) = (guest.bytes(args, 0)?, guest.bytes(args, 2)?, args.u32(4));
    let vm = guest.vm();
    let key = (vm.options.vm_id.clone(), key);
    let mut server = vm.server();
    let present = server.cells.get(&key).map(|cell| cell.cas);
    if cas != 0 && present.is_some_and(|present| present != cas) {
        return Err(Stop::Status(CAS_MISMATCH));
    }
    let cas = server.next_cas();
    server.cells.insert(key, Cell { value, cas });
    Ok(())
}

// Queues. An id is the place in the list, counted from 1.

fn register_queue(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let name = guest.bytes(args, 0)?;
    let vm_id = guest.vm().options.vm_id.clone();
    let id = find_queue(guest, &vm_id, &name).unwrap_or_else(|| {
        let mut server = guest.vm().server();
        server.queues.push(Queue {
            vm_id,
            name,
            items: VecDeque::new(),
        });
        u32::try_from(server.queues.len()).expect("few queues")
    });
    guest.write_u32(args.u32(2), id)
}

fn resolve_queue(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let (vm_id, name) = (guest.bytes(args, 0)?, guest.bytes(args, 2)?);
    let vm_id = String::from_utf8_lossy(&vm_id);
    let id = find_queue(guest, &vm_id, &name).ok_or(Stop::Status(NOT_FOUND))?;
    guest.write_u32(args.u32(4), id)
}

fn find_queue(guest: &mut Guest<'_>, vm_id: &str, name: &[u8]) -> Option<u32> {
    let server = guest.vm().server();
    let at = (server.queues.iter()).position(|q| q.vm_id == vm_id && q.name == name)?;
    u32::try_from(at + 1).ok()
}

fn enqueue(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let item = guest.bytes(args, 1)?;
    on_queue(guest, args, |queue| queue.items.push_back(item))
}

fn dequeue(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let mut item = None;
    on_queue(guest, args, |queue| item = queue.items.pop_front())?;
    guest.give(args, 1, &item.ok_or(Stop::Status(EMPTY))?)
}

fn on_queue(guest: &mut Guest<'_>, args: &Args<'_>, change: impl FnOnce(&mut Queue)) -> Answer {
    let mut server = guest.vm().server();
    let at = (args.u32(0) as usize).wrapping_sub(1);
    change(server.queues.get_mut(at).ok_or(Stop::Status(NOT_FOUND))?);
    Ok(())
}
