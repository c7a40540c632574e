//! Host calls, proxy-wasm ABI 0.2.1.
//!
//! The SDK's own wrappers panic on every status that they do not list, and turn a status that
//! is not in their enum into undefined behaviour; a panic here takes down the VM of a worker.
//! Its local reply also carries either an HTTP status or a gRPC status and never the details.
//! So the imports are declared once more, with the status as a plain number. INVARIANT: all unsafe code
//! that shares memory with the proxy is in this file.
#![allow(
    unsafe_code,
    reason = "the one place where memory is shared with the host"
)]

#[cfg(feature = "own-exports")]
use std::{
    alloc::{Layout, alloc, handle_alloc_error},
    cell::Cell,
    ptr::null_mut,
};

use super::allocator;
use portcullis_exchange::host::Failure;

pub(super) use proxy_wasm::types::Action;

/// A host call did not succeed; the ABI's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HostError(pub(super) u32);

impl HostError {
    /// There is no memory for what the host would hand over. It was not asked.
    pub(super) const NO_MEMORY: Self = Self(u32::MAX);

    /// The host found no memory in the VM for what it was to hand over. The VM has failed, unless that was
    /// [expected](header_pairs_within).
    pub(super) const NOT_HANDED_OVER: Self = Self(6);

    /// What it is to those who know of no ABI.
    pub(super) fn failure(self) -> Failure {
        match self {
            Self::NO_MEMORY => Failure::Memory,
            Self(_) => Failure::HostCall,
        }
    }
}

/// `proxy_log_level_t`.
#[derive(Clone, Copy, Debug)]
pub(super) enum LogLevel {
    Trace = 0,
    Debug = 1,
    Info = 2,
    Warn = 3,
    Error = 4,
}

/// `proxy_map_type_t`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Map {
    Request = 0,
    RequestTrailers = 1,
    Response = 2,
    ResponseTrailers = 3,
    CallResponse = 6,
}

/// `proxy_metric_type_t`.
#[derive(Clone, Copy, Debug)]
pub(super) enum MetricKind {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

/// `proxy_buffer_type_t`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Buffer {
    RequestBody = 0,
    ResponseBody = 1,
    CallResponseBody = 4,
    PluginConfiguration = 7,
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, length: usize) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        most: usize,
        data: *mut *mut u8,
        length: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_size(map: u32, size: *mut usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, length: *mut usize) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_length: usize,
        value: *const u8,
        value_length: usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        length: usize,
        data: *const u8,
        data_length: usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_length: usize,
        value: *const u8,
        value_length: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_length: usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_length: usize,
        data: *mut *mut u8,
        length: *mut usize,
    ) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_length: usize,
        data: *mut *mut u8,
        length: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_length: usize,
        value: *const u8,
        value_length: usize,
        cas: u32,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_length: usize,
        value: *const u8,
        value_length: usize,
    ) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_length: usize,
        arguments: *const u8,
        arguments_length: usize,
        data: *mut *mut u8,
        length: *mut usize,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, length: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_length: usize,
        body: *const u8,
        body_length: usize,
        headers: *const u8,
        headers_length: usize,
        grpc_status: i32,
    ) -> u32;
}

/// WASI's monotonic clock, in nanoseconds. The standard library has it too, and hides from where
/// it counts.
pub(super) fn monotonic_clock() -> Result<u64, HostError> {
    const MONOTONIC: u32 = 1;
    clock(MONOTONIC)
}

/// Nanoseconds since the epoch.
pub(super) fn wall_clock() -> Result<u64, HostError> {
    const REALTIME: u32 = 0;
    clock(REALTIME)
}

fn clock(which: u32) -> Result<u64, HostError> {
    let mut time = 0;
    // SAFETY: the host writes eight bytes to `time`, which is alive and aligned.
    check(unsafe { clock_time_get(which, 0, &raw mut time) })?;
    Ok(time)
}

/// Writes a line to the proxy's log.
pub(super) fn log(level: LogLevel, message: &[u8]) -> Result<(), HostError> {
    // SAFETY: pointer and length describe a live slice, which the host only reads.
    check(unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) })
}

/// As many bytes of a buffer, from `start` on. The memory for them must be there.
pub(super) fn buffer_of(buffer: Buffer, start: usize, size: usize) -> Result<Vec<u8>, HostError> {
    if !has_room(size) {
        return Err(HostError::NO_MEMORY);
    }
    // SAFETY: `received` passes pointers that are valid for the call.
    received(|data, length| unsafe {
        proxy_get_buffer_bytes(buffer as u32, start, size, data, length)
    })
}

/// Whether so many bytes can be allocated in one piece, and a little beside. Host calls that hand
/// bytes over allocate in a callback, which traps where there is no memory.
#[inline]
pub(super) fn has_room(bytes: usize) -> bool {
    const BESIDE: usize = 4096;
    let wanted = bytes.saturating_add(BESIDE);
    allocator::keeps(wanted) || can_reserve(wanted)
}

#[cold]
#[inline(never)]
fn can_reserve(bytes: usize) -> bool {
    let mut room: Vec<u8> = Vec::new();
    let found = room.try_reserve_exact(bytes);
    // Or the compiler could do without asking.
    std::hint::black_box(&mut room);
    found.is_ok()
}

/// The whole of a buffer.
pub(super) fn buffer(buffer: Buffer) -> Result<Vec<u8>, HostError> {
    // SAFETY: `received` passes pointers that are valid for the call.
    received(|data, length| unsafe {
        proxy_get_buffer_bytes(buffer as u32, 0, usize::MAX, data, length)
    })
}

/// The bytes of all names and values of a map; none when the map is not available.
pub(super) fn header_bytes(map: Map) -> Result<usize, HostError> {
    let mut size = 0;
    // SAFETY: the host writes a number to `size`, which is alive and aligned.
    check(unsafe { proxy_get_header_map_size(map as u32, &raw mut size) })?;
    Ok(size)
}

/// All fields of a map, in the ABI's serialisation; no bytes when the map is not available.
pub(super) fn header_pairs(map: Map) -> Result<Vec<u8>, HostError> {
    // SAFETY: as above.
    received(|data, length| unsafe { proxy_get_header_map_pairs(map as u32, data, length) })
}

/// The same of a map whose serialisation has at most `size` bytes. The memory must be there.
pub(super) fn header_pairs_of(map: Map, size: usize) -> Result<Vec<u8>, HostError> {
    if !has_room(size) {
        return Err(HostError::NO_MEMORY);
    }
    header_pairs(map)
}

/// Replaces every field of a name by one.
pub(super) fn replace_header(map: Map, name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: both slices live through the call and are only read.
    check(unsafe {
        proxy_replace_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Adds a field beside those of that name.
pub(super) fn add_header(map: Map, name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: both slices live through the call and are only read.
    check(unsafe {
        proxy_add_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Puts bytes in place of all that a buffer holds.
pub(super) fn replace_buffer(buffer: Buffer, bytes: &[u8]) -> Result<(), HostError> {
    // SAFETY: the slice lives through the call and is only read.
    check(unsafe {
        proxy_set_buffer_bytes(buffer as u32, 0, usize::MAX, bytes.as_ptr(), bytes.len())
    })
}

/// Whether the filter may replace bodies. It may not where `capability_restriction_config` leaves
/// `proxy_set_buffer_bytes` out, which says that callbacks for bodies may be left out too: that they
/// are cannot be seen. Asked where there is no body, so nothing is replaced.
pub(super) fn may_replace_bodies() -> bool {
    const DENIED: HostError = HostError(10);
    let nothing: &[u8] = &[];
    // SAFETY: the slice is empty, and is only read.
    let asked = check(unsafe {
        proxy_set_buffer_bytes(
            Buffer::PluginConfiguration as u32,
            0,
            0,
            nothing.as_ptr(),
            0,
        )
    });
    asked != Err(DENIED)
}

/// Removes every field of a name.
pub(super) fn remove_header(map: Map, name: &str) -> Result<(), HostError> {
    // SAFETY: the slice lives through the call and is only read.
    check(unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// A property by its path, whose segments are joined with NUL.
pub(super) fn property(path: &[u8]) -> Result<Vec<u8>, HostError> {
    // SAFETY: the path lives through the call; `received` passes valid pointers.
    received(|data, length| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, length) })
}

/// Asks for a tick every so many milliseconds.
pub(super) fn set_tick_period(milliseconds: u32) -> Result<(), HostError> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

/// Makes what follows in this callback concern that context.
pub(super) fn set_effective_context(context: u32) -> Result<(), HostError> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_set_effective_context(context) })
}

/// Lets the request go on that was paused.
pub(super) fn resume_request() -> Result<(), HostError> {
    const REQUEST: u32 = 0;
    // SAFETY: no memory is involved.
    check(unsafe { proxy_continue_stream(REQUEST) })
}

/// A cell that all workers share, and the mark of its last change. `Err(HostError(1))`: there is none.
pub(super) fn shared(key: &str) -> Result<(Vec<u8>, u32), HostError> {
    let mut cas = 0;
    // SAFETY: the key lives through the call; `received` passes valid pointers, and `cas` is
    // written before it returns.
    let value = received(|data, length| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), data, length, &raw mut cas)
    })?;
    Ok((value, cas))
}

/// Writes a shared cell, if it has not changed since `seen`; without `seen`, whatever stands there.
/// A cell that does not exist is written in any case: two workers can both succeed.
pub(super) fn set_shared(key: &str, value: &[u8], seen: Option<u32>) -> Result<(), HostError> {
    let cas = seen.unwrap_or(0);
    // SAFETY: both slices live through the call and are only read.
    check(unsafe {
        proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas)
    })
}

/// Sets a property; its path has one segment.
pub(super) fn set_property(name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: both slices live through the call and are only read.
    check(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Calls a function of the proxy's own.
pub(super) fn foreign_function(name: &str, arguments: &[u8]) -> Result<Vec<u8>, HostError> {
    // SAFETY: both slices live through the call; `received` passes valid pointers.
    received(|data, length| unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            arguments.as_ptr(),
            arguments.len(),
            data,
            length,
        )
    })
}

/// Makes a metric known; its number in this VM. Each call makes a new number for the same metric.
pub(super) fn define_metric(kind: MetricKind, name: &str) -> Result<u32, HostError> {
    let mut id = 0;
    // SAFETY: the name lives through the call; `id` is written before it returns.
    check(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

/// Sets a gauge, or records a value in a histogram.
pub(super) fn record(metric: u32, value: u64) -> Result<(), HostError> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_record_metric(metric, value) })
}

/// Adds to a counter or a gauge; from a gauge it can take away.
pub(super) fn increment(metric: u32, by: i64) -> Result<(), HostError> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_increment_metric(metric, by) })
}

/// Answers the request in place of the service. `headers` is the ABI's serialisation.
pub(super) fn send_local_response(
    status: u16,
    grpc_status: u32,
    headers: &[u8],
    body: &[u8],
    details: &str,
) -> Result<(), HostError> {
    let grpc_status = i32::try_from(grpc_status).unwrap_or(-1);
    // SAFETY: all slices live through the call and are only read.
    check(unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status,
        )
    })
}

#[cfg(feature = "own-exports")]
thread_local! {
    /// The most bytes that the proxy is to hand over, where whoever calls it can do without; none where it needs all.
    static EXPECTED: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Memory for what a host call hands over; [`received`] takes it. Where there is none this traps, and a trap refuses:
/// what the proxy knows and cannot hand over must not look like what it does not know. Who can do without is told.
// SAFETY: nothing else has this name.
#[cfg(feature = "own-exports")]
#[unsafe(no_mangle)]
extern "C" fn portcullis_on_memory_allocate(size: usize) -> *mut u8 {
    let expected = EXPECTED.take();
    let layout = match Layout::array::<u8>(size) {
        Ok(layout) if size > 0 && expected.is_none_or(|most| size <= most) => layout,
        // The proxy takes null for no memory, and hands nothing over.
        _ => return null_mut(),
    };
    // SAFETY: the layout has a size.
    let memory = unsafe { alloc(layout) };
    if memory.is_null() && expected.is_none() {
        handle_alloc_error(layout);
    }
    memory
}

/// All fields of a map whose serialisation has at most `most` bytes, without asking how many it has. None if the proxy
/// does not hand them over, because they are more or for want of memory.
#[cfg(feature = "own-exports")]
#[inline]
pub(super) fn header_pairs_within(map: Map, most: usize) -> Option<Vec<u8>> {
    EXPECTED.set(Some(most));
    let pairs = header_pairs(map);
    // It may not have come to that.
    EXPECTED.set(None);
    pairs.ok()
}

/// None: the SDK gives memory for whatever the proxy hands over.
#[cfg(not(feature = "own-exports"))]
pub(super) fn header_pairs_within(_: Map, _: usize) -> Option<Vec<u8>> {
    None
}

fn check(status: u32) -> Result<(), HostError> {
    if status == 0 {
        Ok(())
    } else {
        Err(HostError(status))
    }
}

fn received(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, HostError> {
    let mut data: *mut u8 = std::ptr::null_mut();
    let mut length: usize = 0;
    check(call(&raw mut data, &raw mut length))?;
    if data.is_null() || length == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the host has written `length` bytes to memory that it asked for through
    // `proxy_on_memory_allocate(length)`, ours or the SDK's, allocated as a `Vec` of that capacity is, and given up
    // to whoever receives the pointer: us, once.
    Ok(unsafe { Vec::from_raw_parts(data, length, length) })
}
