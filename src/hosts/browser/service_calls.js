// The host calls that are not about the stream: metrics, shared cells, queues, attributes, functions of
// the host, the clock, calls to other services.

import { binary, decode } from "./bytes.js";
import { BAD_ARGUMENT, CAS_MISMATCH, EMPTY, NOT_FOUND, PARSE_FAILURE, Status } from "./status.js";
import { deserialize } from "./headers.js";
import { attribute } from "./properties.js";

const text = (vm, at, length) => binary(vm.read(at, length));
const KINDS = ["counter", "gauge", "histogram"];
const asU64 = (number) => BigInt.asUintN(64, number);

function metric(vm, id) {
  const found = vm.metricIds.get(id);
  if (!found) throw new Status(NOT_FOUND);
  return found;
}

function queue(vm, id) {
  const found = vm.queues[id - 1];
  if (!found) throw new Status(NOT_FOUND);
  return found;
}

export const serviceCalls = {
  proxy_call_foreign_function: (vm, name, nameLength, at, length, addressAt, lengthAt) => {
    const [wanted, argument] = [decode(text(vm, name, nameLength)), vm.read(at, length)];
    const call = Object.hasOwn(vm.functions, wanted) ? vm.functions[wanted] : undefined;
    if (!call) return NOT_FOUND;
    vm.give(addressAt, lengthAt, call(argument) ?? new Uint8Array(0));
    return 0;
  },
  proxy_define_metric: (vm, number, name, length, idAt) => {
    const kind = KINDS[number];
    if (!kind) return BAD_ARGUMENT;
    // Each definition makes an id, also of a name that is known.
    const defined = vm.defineMetric(kind, decode(text(vm, name, length)));
    vm.writeU32(idAt, defined);
    return 0;
  },
  proxy_get_metric: (vm, id, at) => {
    const { kind, value } = metric(vm, id);
    if (kind === "histogram") return BAD_ARGUMENT;
    vm.writeU64(at, value);
    return 0;
  },
  proxy_increment_metric: (vm, id, offset) => {
    const found = metric(vm, id);
    if (found.kind === "histogram" || (found.kind === "counter" && offset <= 0n)) return BAD_ARGUMENT;
    found.value = asU64(found.value + offset);
    return 0;
  },
  proxy_record_metric: (vm, id, given) => {
    const [found, value] = [metric(vm, id), asU64(given)];
    if (found.kind === "counter") found.value = asU64(found.value + value);
    else if (found.kind === "gauge") found.value = value;
    else found.recorded.push(value);
  },
  proxy_get_shared_data: (vm, key, keyLength, addressAt, lengthAt, casAt) => {
    const cell = vm.cells.get(text(vm, key, keyLength));
    if (!cell) return NOT_FOUND;
    vm.give(addressAt, lengthAt, cell.value);
    vm.writeU32(casAt, cell.cas);
    return 0;
  },
  proxy_set_shared_data: (vm, keyAt, keyLength, at, length, cas) => {
    const key = text(vm, keyAt, keyLength);
    const present = vm.cells.get(key);
    // A write to a key that is not there is never compared.
    if (cas !== 0 && present && present.cas !== cas) return CAS_MISMATCH;
    vm.cells.set(key, { value: vm.read(at, length), cas: vm.nextCas() });
    return 0;
  },
  proxy_register_shared_queue: (vm, name, length, idAt) => {
    const wanted = text(vm, name, length);
    let at = vm.queues.findIndex((each) => each.name === wanted);
    if (at < 0) at = vm.queues.push({ name: wanted, items: [] }) - 1;
    vm.writeU32(idAt, at + 1);
  },
  proxy_resolve_shared_queue: (vm, vmId, vmIdLength, name, length, idAt) => {
    const wanted = text(vm, name, length);
    const isOurs = decode(text(vm, vmId, vmIdLength)) === vm.vmId;
    const at = isOurs ? vm.queues.findIndex((each) => each.name === wanted) : -1;
    if (at < 0) return NOT_FOUND;
    vm.writeU32(idAt, at + 1);
    return 0;
  },
  proxy_enqueue_shared_queue: (vm, id, at, length) => {
    queue(vm, id).items.push(vm.read(at, length));
  },
  proxy_dequeue_shared_queue: (vm, id, addressAt, lengthAt) => {
    const item = queue(vm, id).items.shift();
    if (!item) return EMPTY;
    vm.give(addressAt, lengthAt, item);
    return 0;
  },
  proxy_get_property: (vm, at, length, addressAt, lengthAt) => {
    const value = attribute(vm, text(vm, at, length));
    if (value === undefined) return NOT_FOUND;
    vm.giveText(addressAt, lengthAt, value);
    return 0;
  },
  proxy_set_property: (vm, at, length, valueAt, valueLength) => {
    if (!vm.stream) return NOT_FOUND;
    vm.stream.filterState.set(`wasm.${text(vm, at, length)}`, text(vm, valueAt, valueLength));
    return 0;
  },
  proxy_get_current_time_nanoseconds: (vm, at) => vm.writeU64(at, vm.now()),
  proxy_set_tick_period_milliseconds: (vm, period) => {
    const of = vm.roots.has(vm.effectiveContext) ? vm.effectiveContext : vm.root;
    vm.roots.set(of, period);
  },
  proxy_http_call: (vm, cluster, clusterLength, head, headLength, at, length, trailers, trailersLength, millis, idAt) => {
    const call = {
      cluster: decode(text(vm, cluster, clusterLength)),
      headers: deserialize(vm.read(head, headLength)),
      body: vm.read(at, length),
      trailers: deserialize(vm.read(trailers, trailersLength)),
      timeoutMilliseconds: millis,
    };
    const lacks = [":method", ":path", ":authority"].some((name) => !call.headers.some(([each]) => each === name));
    const response = lacks ? null : vm.call(call);
    if (!response) return BAD_ARGUMENT;
    vm.writeU32(idAt, vm.begin(response));
    return 0;
  },
  // No cluster speaks gRPC.
  proxy_grpc_call: () => PARSE_FAILURE,
  proxy_grpc_stream: () => PARSE_FAILURE,
  proxy_grpc_cancel: () => NOT_FOUND,
  proxy_grpc_close: () => NOT_FOUND,
  proxy_grpc_send: () => NOT_FOUND,
};
