// The host calls of proxy-wasm 0.2.1 that are about the stream: heads, bodies, replies.

import { binary, concat, decode } from "./bytes.js";
import { BAD_ARGUMENT, NOT_FOUND, Status } from "./status.js";
import { deserialize, serialize } from "./headers.js";

const CALL_RESPONSE_HEADERS = 6;

/** The side of the stream and the part of it that a number of the ABI names. */
const MAPS = [
  ["request", "headers"],
  ["request", "trailers"],
  ["response", "headers"],
  ["response", "trailers"],
];

const text = (vm, at, length) => binary(vm.read(at, length));

/** The map to read, if the module may read it in this callback. */
function readable(vm, number) {
  const [side, part] = MAPS[number] ?? [];
  const { stream } = vm;
  if (!stream || !side) return undefined;
  const half = stream[side];
  const isInLog = stream.logging && number !== 1;
  return half[`${part}Open`] || isInLog ? half[part] : undefined;
}

/** The map to change, if the module may change it in this callback. */
function writable(vm, number) {
  const [side, part] = MAPS[number] ?? [];
  const { stream } = vm;
  if (!stream || !side || stream.logging || !stream[side][`${part}Open`]) throw new Status(BAD_ARGUMENT);
  return stream[side][part];
}

function buffer(vm, kind) {
  const NONE = new Uint8Array(0);
  const found = {
    0: () => vm.stream?.request.body,
    1: () => vm.stream?.response.body,
    4: () => vm.answered?.body,
    6: () => NONE,
    7: () => (vm.stage === "configuring" ? vm.configuration : undefined),
  }[kind]?.();
  if (!found) throw new Status(NOT_FOUND);
  return found;
}

/** Replaces from the start, puts in front, or appends; the host offers nothing else. */
function replaced(body, start, length, bytes) {
  if (start === 0 && length === 0) return concat([bytes, body]);
  if (start === 0 && length >= body.length) return bytes;
  if (start >= body.length) return concat([body, bytes]);
  throw new Status(BAD_ARGUMENT);
}

const isDirection = (number) => number === 0 || number === 1;

export const streamCalls = {
  proxy_add_header_map_value: (vm, map, name, nameLength, value, valueLength) => {
    writable(vm, map).add(text(vm, name, nameLength), text(vm, value, valueLength));
  },
  proxy_close_stream: (vm, direction) => {
    if (!isDirection(direction)) return BAD_ARGUMENT;
    if (vm.stream) vm.stream.reset = true;
    return 0;
  },
  proxy_continue_stream: (vm, direction) => {
    if (!isDirection(direction)) return BAD_ARGUMENT;
    const { stream } = vm;
    if (stream) {
      stream.resumed[direction === 0 ? "request" : "response"] = true;
      // Either direction takes the request away, as in Envoy.
      stream.request.headersOpen = false;
      stream.request.trailersOpen = false;
    }
    return 0;
  },
  proxy_done: () => NOT_FOUND,
  proxy_get_buffer_bytes: (vm, kind, start, length, addressAt, lengthAt) => {
    const end = start + length;
    const bytes = buffer(vm, kind);
    if (end > 0xffff_ffff) return BAD_ARGUMENT;
    const part = bytes.subarray(start, Math.min(bytes.length, end));
    // Of no bytes the host leaves the results as they were.
    if (part.length > 0) vm.give(addressAt, lengthAt, part);
    return 0;
  },
  proxy_get_buffer_status: (vm, kind, sizeAt, flagsAt) => {
    vm.writeU32(sizeAt, buffer(vm, kind).length);
    vm.writeU32(flagsAt, 0);
  },
  proxy_get_header_map_pairs: (vm, map, addressAt, lengthAt) => {
    const found = map === CALL_RESPONSE_HEADERS ? vm.answered?.head : readable(vm, map);
    vm.give(addressAt, lengthAt, serialize(found?.fields ?? []));
  },
  proxy_get_header_map_size: (vm, map, sizeAt) => {
    vm.writeU32(sizeAt, writable(vm, map).byteSize);
  },
  proxy_get_header_map_value: (vm, map, name, nameLength, addressAt, lengthAt) => {
    const wanted = text(vm, name, nameLength);
    const found = readable(vm, map);
    if (!found) return vm.stream?.logging ? NOT_FOUND : BAD_ARGUMENT;
    const value = found.first(wanted);
    if (value === undefined) return NOT_FOUND;
    vm.giveText(addressAt, lengthAt, value);
    return 0;
  },
  proxy_get_log_level: (vm, at) => vm.writeU32(at, 2),
  proxy_get_status: (vm, statusAt, addressAt, lengthAt) => {
    vm.writeU32(statusAt, 0);
    vm.give(addressAt, lengthAt, new Uint8Array(0));
  },
  proxy_log: (vm, level, at, length) => {
    vm.log.push({ level, message: decode(text(vm, at, length)) });
  },
  proxy_remove_header_map_value: (vm, map, name, nameLength) => {
    writable(vm, map).remove(text(vm, name, nameLength));
  },
  proxy_replace_header_map_value: (vm, map, name, nameLength, value, valueLength) => {
    writable(vm, map).replace(text(vm, name, nameLength), text(vm, value, valueLength));
  },
  proxy_send_local_response: (vm, status, details, detailsLength, body, bodyLength, headers, headersLength, grpc) => {
    const reply = {
      status,
      details: decode(text(vm, details, detailsLength)).replace(/[ \t\n\r]/g, "_"),
      body: vm.read(body, bodyLength),
      headers: deserialize(vm.read(headers, headersLength)),
      grpcStatus: (grpc | 0) < 0 ? undefined : grpc,
    };
    // From the plugin itself there is nobody to answer; the host says Ok and does nothing.
    if (vm.stream) vm.stream.reply ??= reply;
  },
  proxy_set_buffer_bytes: (vm, kind, start, length, at, size) => {
    const bytes = vm.read(at, size);
    const half = vm.stream?.[{ 0: "request", 1: "response" }[kind]];
    if (!half?.body) return NOT_FOUND;
    half.body = replaced(half.body, start, length, bytes);
    return 0;
  },
  proxy_set_effective_context: (vm, id) => {
    if (!vm.hasContext(id)) return BAD_ARGUMENT;
    vm.effectiveContext = id;
    return 0;
  },
  proxy_set_header_map_pairs: (vm, map, at, size) => {
    const pairs = deserialize(vm.read(at, size));
    const changed = writable(vm, map);
    changed.clear();
    pairs.forEach(([name, value]) => changed.add(name, value));
  },
};
