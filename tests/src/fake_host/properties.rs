//! Attributes: those a test has set, those that follow from the stream, and filter state.

use super::headers::HeaderMap;
use super::http;
use super::state::{Stream, Vm};
use crate::wire::Version;

/// The value of a path whose segments are joined with zero bytes.
pub(super) fn read(vm: &Vm, path: &[u8]) -> Option<Vec<u8>> {
    let of_plugin = match path {
        b"plugin_name" => Some(&vm.options.plugin_name),
        b"plugin_vm_id" => Some(&vm.options.vm_id),
        _ => None,
    };
    if let Some(text) = of_plugin {
        return Some(text.as_bytes().to_vec());
    }
    let Some(stream) = vm.stream() else {
        let everywhere = path.starts_with(b"xds\0node");
        return everywhere
            .then(|| vm.properties.get(path).cloned())
            .flatten();
    };
    if let Some(value) = vm.properties.get(path) {
        return Some(value.clone());
    }
    let of_stream = match path.split(|b| *b == 0).collect::<Vec<_>>()[..] {
        [b"request", name] => of_request(vm, stream, name),
        [b"request", b"headers", name] => request_headers(stream)?.joined(name),
        [b"response", name] => of_response(stream, name),
        [b"source", b"address"] => Some(b"127.0.0.1:40000".to_vec()),
        [b"source", b"port"] => Some(number(40_000)),
        [b"connection", b"mtls"] => Some(vec![0]),
        [b"connection", b"id"] | [b"connection_id"] => Some(number(u64::from(stream.id))),
        [b"filter_state", key] => stream.filter_state.get(key).cloned(),
        _ => None,
    };
    // The module's own state also goes by its name without `wasm.`.
    of_stream.or_else(|| {
        let key = [b"wasm.", path].concat();
        stream.filter_state.get(&key).cloned()
    })
}

fn number(n: u64) -> Vec<u8> {
    n.to_le_bytes().to_vec()
}

/// Attributes of the request's head go with the head.
fn request_headers(stream: &Stream) -> Option<&HeaderMap> {
    (stream.request.headers_open || stream.logging).then_some(&stream.request.headers)
}

fn of_request(vm: &Vm, stream: &Stream, name: &[u8]) -> Option<Vec<u8>> {
    let field = |name| Some(request_headers(stream)?.first(name)?.to_vec());
    match name {
        b"host" => field(":authority"),
        b"id" => field("x-request-id"),
        b"method" => field(":method"),
        b"path" => field(":path"),
        b"referer" => field("referer"),
        b"scheme" => field(":scheme"),
        b"useragent" => field("user-agent"),
        b"url_path" => field(":path")?
            .split(|b| *b == b'?')
            .next()
            .map(<[u8]>::to_vec),
        b"query" => {
            let path = field(":path")?;
            let mark = path.iter().position(|b| *b == b'?');
            Some(mark.map_or(Vec::new(), |mark| path[mark + 1..].to_vec()))
        }
        b"protocol" => Some(match stream.version {
            Version::Http1 => b"HTTP/1.1".to_vec(),
            Version::Http2 => b"HTTP/2".to_vec(),
        }),
        b"time" => Some(number(stream.started_nanos)),
        b"duration" if stream.logging => {
            let now = vm.server().now_nanos;
            Some(number(now.saturating_sub(stream.started_nanos)))
        }
        b"size" => Some(number(match field("content-length") {
            Some(length) => std::str::from_utf8(&length).ok()?.parse().ok()?,
            None => stream.received,
        })),
        b"total_size" => {
            let head = stream.request.headers.byte_size() as u64;
            Some(number(stream.received + head))
        }
        _ => None,
    }
}

fn of_response(stream: &Stream, name: &[u8]) -> Option<Vec<u8>> {
    let code = stream.code?;
    match name {
        b"code" => Some(number(u64::from(code))),
        b"code_details" => Some(stream.details.clone().into_bytes()),
        b"flags" => Some(number(0)),
        b"grpc_status" => {
            let mapped = || http::grpc_status(u32::from(code));
            Some(number(u64::from(stream.grpc_status.unwrap_or_else(mapped))))
        }
        _ => None,
    }
}
