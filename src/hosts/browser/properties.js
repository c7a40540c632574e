// Attributes: those that were given, those that follow from the stream, and filter state.

import { decode, encode, u64 } from "./bytes.js";
import { grpcStatus } from "./http.js";

/** The value of a path whose parts are joined with zero bytes; a binary string. */
export function attribute(vm, path) {
  if (path === "plugin_name") return encode(vm.pluginName);
  if (path === "plugin_vm_id") return encode(vm.vmId);
  const { stream } = vm;
  if (!stream) return path.startsWith("xds\0node") ? vm.attributes.get(path) : undefined;
  if (vm.attributes.has(path)) return vm.attributes.get(path);
  // The module's own state also goes by its name without `wasm.`.
  return ofStream(vm, stream, path.split("\0")) ?? stream.filterState.get(`wasm.${path}`);
}

function ofStream(vm, stream, [first, second, third, ...rest]) {
  if (rest.length > 0) return undefined;
  if (third !== undefined) {
    return first === "request" && second === "headers" ? head(stream)?.joined(third) : undefined;
  }
  switch (first) {
    case "request":
      return ofRequest(vm, stream, second);
    case "response":
      return ofResponse(stream, second);
    case "source":
      return { address: "127.0.0.1:40000", port: u64(40_000) }[second];
    case "connection":
      return { mtls: "\0", id: u64(stream.id) }[second];
    case "connection_id":
      return second === undefined ? u64(stream.id) : undefined;
    case "filter_state":
      return stream.filterState.get(second);
    default:
      return undefined;
  }
}

/** The request's head, with which its attributes go. */
function head(stream) {
  return stream.request.headersOpen || stream.logging ? stream.request.headers : undefined;
}

const FIELDS = {
  host: ":authority",
  id: "x-request-id",
  method: ":method",
  path: ":path",
  referer: "referer",
  scheme: ":scheme",
  useragent: "user-agent",
};

function ofRequest(vm, stream, name) {
  if (Object.hasOwn(FIELDS, name)) return head(stream)?.first(FIELDS[name]);
  const path = head(stream)?.first(":path");
  const mark = path?.indexOf("?") ?? -1;
  switch (name) {
    case "url_path":
      return mark < 0 ? path : path.slice(0, mark);
    case "query":
      return path === undefined || mark < 0 ? path && "" : path.slice(mark + 1);
    case "protocol":
      return stream.version === 2 ? "HTTP/2" : "HTTP/1.1";
    case "time":
      return u64(stream.started);
    case "duration":
      return stream.logging ? u64(vm.now() - stream.started) : undefined;
    case "size": {
      const length = head(stream)?.first("content-length");
      if (length === undefined) return u64(stream.received);
      return /^\d+$/.test(decode(length)) ? u64(BigInt(length)) : undefined;
    }
    case "total_size":
      return u64(stream.received + stream.request.headers.byteSize);
    default:
      return undefined;
  }
}

function ofResponse(stream, name) {
  if (stream.code === undefined) return undefined;
  switch (name) {
    case "code":
      return u64(stream.code);
    case "code_details":
      return encode(stream.details);
    case "flags":
      return u64(0);
    case "grpc_status":
      return u64(stream.grpcStatus ?? grpcStatus(stream.code));
    default:
      return undefined;
  }
}
