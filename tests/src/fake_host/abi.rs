//! The `env` functions of proxy-wasm 0.2.1 that are about the stream: heads, bodies, replies.

use super::LogLine;
use super::guest::{Answer, Args, Function, Guest, Import, Stop};
use super::headers::{self, HeaderMap};
use super::services;
use super::state::{Half, LocalReply, Stage, Stream};

pub(super) const NOT_FOUND: u32 = 1;
pub(super) const BAD_ARGUMENT: u32 = 2;
pub(super) const PARSE_FAILURE: u32 = 4;
const INVALID_MEMORY_ACCESS: u32 = 6;
pub(super) const EMPTY: u32 = 7;
pub(super) const CAS_MISMATCH: u32 = 8;

pub(super) const STREAM_IMPORT: Import = Import {
    module: "env",
    functions: FUNCTIONS,
    fault: INVALID_MEMORY_ACCESS,
};

pub(super) const SERVICE_IMPORT: Import = Import {
    functions: services::FUNCTIONS,
    ..STREAM_IMPORT
};

const FUNCTIONS: &[Function] = &[
    ("proxy_add_header_map_value", "iiiii", |guest, args| {
        edit(guest, args, HeaderMap::add)
    }),
    ("proxy_close_stream", "i", close_stream),
    ("proxy_continue_stream", "i", continue_stream),
    ("proxy_done", "", |_, _| Err(Stop::Status(NOT_FOUND))),
    ("proxy_get_buffer_bytes", "iiiii", get_buffer_bytes),
    ("proxy_get_buffer_status", "iii", get_buffer_status),
    ("proxy_get_header_map_pairs", "iii", get_header_map_pairs),
    ("proxy_get_header_map_size", "ii", get_header_map_size),
    ("proxy_get_header_map_value", "iiiii", get_header_map_value),
    ("proxy_get_log_level", "i", |guest, args| {
        let level = guest.vm().log_level;
        guest.write_u32(args.u32(0), level)
    }),
    ("proxy_log", "iii", log),
    ("proxy_remove_header_map_value", "iii", |guest, args| {
        let name = guest.bytes(args, 1)?;
        writable_map(guest, args)?.remove(&name);
        Ok(())
    }),
    ("proxy_replace_header_map_value", "iiiii", |guest, args| {
        edit(guest, args, HeaderMap::replace)
    }),
    ("proxy_send_local_response", "iiiiiiii", send_local_response),
    ("proxy_set_buffer_bytes", "iiiii", set_buffer_bytes),
    ("proxy_set_effective_context", "i", set_effective_context),
    ("proxy_set_header_map_pairs", "iii", |guest, args| {
        let pairs = headers::deserialize(&guest.bytes(args, 1)?);
        let map = writable_map(guest, args)?;
        map.clear();
        for (name, value) in pairs {
            map.add(&name, &value);
        }
        Ok(())
    }),
    ("proxy_get_status", "iii", |guest, args| {
        guest.write_u32(args.u32(0), 0)?;
        guest.give(args, 1, b"")
    }),
];

fn log(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let (level, message) = (args.u32(0), guest.bytes(args, 1)?);
    guest.vm().log.push(LogLine { level, message });
    Ok(())
}

fn set_effective_context(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let id = args.u32(0);
    let vm = guest.vm();
    if !vm.roots.contains_key(&id) && vm.stream.as_ref().is_none_or(|stream| stream.id != id) {
        return Err(Stop::Status(BAD_ARGUMENT));
    }
    vm.effective_context = id;
    Ok(())
}

// Header maps

const REQUEST_HEADERS: u32 = 0;
const REQUEST_TRAILERS: u32 = 1;
const RESPONSE_HEADERS: u32 = 2;
const RESPONSE_TRAILERS: u32 = 3;
const CALL_RESPONSE_HEADERS: u32 = 6;

/// The map to read, if the module may read it in this callback.
fn readable_map(stream: &Stream, map: u32) -> Option<&HeaderMap> {
    let headers = |half: &Half| half.headers_open || stream.logging;
    let (map, open) = match map {
        REQUEST_HEADERS => (&stream.request.headers, headers(&stream.request)),
        RESPONSE_HEADERS => (&stream.response.headers, headers(&stream.response)),
        REQUEST_TRAILERS => (&stream.request.trailers, stream.request.trailers_open),
        RESPONSE_TRAILERS => {
            let half = &stream.response;
            (&half.trailers, half.trailers_open || stream.logging)
        }
        _ => return None,
    };
    open.then_some(map)
}

/// The map argument 0 names, if the module may change it in this callback.
fn writable_map<'a>(guest: &'a mut Guest<'_>, args: &Args<'_>) -> Result<&'a mut HeaderMap, Stop> {
    let find = |stream: &'a mut Stream| {
        let (map, open) = match args.u32(0) {
            REQUEST_HEADERS => (&mut stream.request.headers, stream.request.headers_open),
            RESPONSE_HEADERS => (&mut stream.response.headers, stream.response.headers_open),
            REQUEST_TRAILERS => (&mut stream.request.trailers, stream.request.trailers_open),
            RESPONSE_TRAILERS => (&mut stream.response.trailers, stream.response.trailers_open),
            _ => return None,
        };
        (open && !stream.logging).then_some(map)
    };
    (guest.vm().stream_mut().and_then(find)).ok_or(Stop::Status(BAD_ARGUMENT))
}

fn edit(
    guest: &mut Guest<'_>,
    args: &Args<'_>,
    change: fn(&mut HeaderMap, &[u8], &[u8]),
) -> Answer {
    let (name, value) = (guest.bytes(args, 1)?, guest.bytes(args, 3)?);
    change(writable_map(guest, args)?, &name, &value);
    Ok(())
}

fn get_header_map_value(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let name = guest.bytes(args, 1)?;
    let stream = guest.vm().stream();
    let unavailable = match stream {
        Some(stream) if stream.logging => NOT_FOUND,
        _ => BAD_ARGUMENT,
    };
    let map = stream.and_then(|stream| readable_map(stream, args.u32(0)));
    let map = map.ok_or(Stop::Status(unavailable))?;
    let value = map.first_bytes(&name).ok_or(Stop::Status(NOT_FOUND))?;
    let value = value.to_vec();
    guest.give(args, 3, &value)
}

fn get_header_map_pairs(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let vm = guest.vm();
    let map = match args.u32(0) {
        CALL_RESPONSE_HEADERS => vm.answered.as_ref().map(|(headers, _)| headers),
        map => vm.stream().and_then(|stream| readable_map(stream, map)),
    };
    let bytes = map.map_or(Vec::new(), |map| headers::serialize(map.fields()));
    guest.give(args, 1, &bytes)
}

fn get_header_map_size(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let size = writable_map(guest, args)?.byte_size();
    let size = u32::try_from(size).map_err(|_| Stop::Fault)?;
    guest.write_u32(args.u32(1), size)
}

// Buffers

const REQUEST_BODY: u32 = 0;
const RESPONSE_BODY: u32 = 1;
const CALL_RESPONSE_BODY: u32 = 4;
const VM_CONFIGURATION: u32 = 6;
const PLUGIN_CONFIGURATION: u32 = 7;

fn buffer<'a>(guest: &'a mut Guest<'_>, kind: u32) -> Option<&'a [u8]> {
    let vm = guest.vm();
    match kind {
        REQUEST_BODY => vm.stream()?.request.body.as_deref(),
        RESPONSE_BODY => vm.stream()?.response.body.as_deref(),
        CALL_RESPONSE_BODY => vm.answered.as_ref().map(|(_, body)| body.as_slice()),
        VM_CONFIGURATION => Some(b""),
        PLUGIN_CONFIGURATION => (vm.stage == Stage::Configuring).then_some(&vm.configuration),
        _ => None,
    }
}

fn get_buffer_bytes(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let (start, length) = (args.u32(1), args.u32(2));
    let bytes = buffer(guest, args.u32(0)).ok_or(Stop::Status(NOT_FOUND))?;
    let end = start
        .checked_add(length)
        .ok_or(Stop::Status(BAD_ARGUMENT))?;
    let part = bytes.get(start as usize..bytes.len().min(end as usize));
    match part.unwrap_or_default().to_vec() {
        // The host leaves the results as they were.
        part if part.is_empty() => Ok(()),
        part => guest.give(args, 3, &part),
    }
}

fn get_buffer_status(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let bytes = buffer(guest, args.u32(0)).ok_or(Stop::Status(NOT_FOUND))?;
    let size = u32::try_from(bytes.len()).map_err(|_| Stop::Fault)?;
    guest.write_u32(args.u32(1), size)?;
    guest.write_u32(args.u32(2), 0)
}

/// Replaces from the start, puts in front, or appends; the host offers nothing else.
fn set_buffer_bytes(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let (start, length) = (args.u32(1) as usize, args.u32(2) as usize);
    let new = guest.bytes(args, 3)?;
    let body = match (guest.vm().stream_mut(), args.u32(0)) {
        (Some(stream), REQUEST_BODY) => stream.request.body.as_mut(),
        (Some(stream), RESPONSE_BODY) => stream.response.body.as_mut(),
        _ => None,
    };
    let body = body.ok_or(Stop::Status(NOT_FOUND))?;
    if start == 0 && length == 0 {
        body.splice(..0, new);
    } else if start == 0 && length >= body.len() {
        *body = new;
    } else if start >= body.len() {
        body.extend(new);
    } else {
        return Err(Stop::Status(BAD_ARGUMENT));
    }
    Ok(())
}

// The course of the stream

const REQUEST: u32 = 0;
const RESPONSE: u32 = 1;

fn continue_stream(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let direction = args.u32(0);
    if !matches!(direction, REQUEST | RESPONSE) {
        return Err(Stop::Status(BAD_ARGUMENT));
    }
    if let Some(stream) = guest.vm().stream_mut() {
        match direction {
            REQUEST => stream.resumed_request = true,
            _ => stream.resumed_response = true,
        }
        // Either direction takes the request away, as in Envoy.
        stream.request.headers_open = false;
        stream.request.trailers_open = false;
    }
    Ok(())
}

fn close_stream(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    if !matches!(args.u32(0), REQUEST | RESPONSE) {
        return Err(Stop::Status(BAD_ARGUMENT));
    }
    if let Some(stream) = guest.vm().stream_mut() {
        stream.reset = true;
    }
    Ok(())
}

fn send_local_response(guest: &mut Guest<'_>, args: &Args<'_>) -> Answer {
    let details = guest.bytes(args, 1)?;
    let reply = LocalReply {
        status: args.u32(0),
        details: String::from_utf8_lossy(&details).replace([' ', '\t', '\n', '\r'], "_"),
        body: guest.bytes(args, 3)?,
        headers: headers::deserialize(&guest.bytes(args, 5)?),
        grpc_status: u32::try_from(args.u32(7).cast_signed()).ok(),
    };
    // From the plugin itself there is nobody to answer; the host says Ok and does nothing.
    if let Some(stream) = guest.vm().stream_mut() {
        stream.reply.get_or_insert(reply);
    }
    Ok(())
}
