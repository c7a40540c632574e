// The module's memory, and how its imports are linked.

import { bytesOf } from "./bytes.js";
import { streamCalls } from "./stream_calls.js";
import { serviceCalls } from "./service_calls.js";
import { INVALID_MEMORY_ACCESS, OutOfBounds, Status, Trap, isTrap } from "./status.js";
import { wasi } from "./wasi.js";

const WASI_FAULT = 21;

/** What is open to a module that allocates for the host. */
const WHILE_ALLOCATING = new Set([
  "proxy_log",
  "proxy_get_log_level",
  "proxy_get_current_time_nanoseconds",
  "clock_time_get",
  "fd_write",
  "proc_exit",
]);

/** The imports of a module, or an error that names what Envoy does not have. */
export function imports(module, vm) {
  const linked = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    const call = kind === "function" ? find(from, name) : undefined;
    if (!call) throw new Error(`Envoy has no ${kind} ${from}.${name}`);
    const fault = from === "env" ? INVALID_MEMORY_ACCESS : WASI_FAULT;
    linked[from] ??= {};
    linked[from][name] = (...args) => answer(vm, name, call, args, fault);
  }
  return linked;
}

function find(from, name) {
  if (from === "wasi_snapshot_preview1") return wasi(name);
  const calls = [streamCalls, serviceCalls].find((known) => from === "env" && Object.hasOwn(known, name));
  return calls?.[name];
}

function answer(vm, name, call, args, fault) {
  const isSetUp = vm.stage !== "initializing" || !name.startsWith("proxy_");
  const isOpen = WHILE_ALLOCATING.has(name) || (!vm.allocating && isSetUp);
  if (!isOpen) throw new Trap(`restricted_callback: ${name}`);
  // Addresses and lengths are unsigned.
  const numbers = args.map((each) => (typeof each === "bigint" ? each : each >>> 0));
  try {
    return call(vm, ...numbers) ?? 0;
  } catch (error) {
    if (error instanceof Status) return error.status;
    if (error instanceof OutOfBounds) return fault;
    throw error;
  }
}

/** The memory of a VM, by address. */
export class Memory {
  /** A copy of these bytes. */
  read(at, length) {
    return this.#place(at, length).slice();
  }

  readU32(at) {
    const place = this.#place(at, 4);
    return new DataView(place.buffer, place.byteOffset).getUint32(0, true);
  }

  write(at, bytes) {
    this.#place(at, bytes.length).set(bytes);
  }

  writeU32(at, number) {
    const place = this.#place(at, 4);
    new DataView(place.buffer, place.byteOffset).setUint32(0, number, true);
  }

  writeU64(at, number) {
    const place = this.#place(at, 8);
    new DataView(place.buffer, place.byteOffset).setBigUint64(0, BigInt.asUintN(64, number), true);
  }

  /**
   * Hands bytes over: allocates in the module, which then owns them, and writes address and length where
   * it wants them. No bytes are a null address.
   */
  give(addressAt, lengthAt, bytes) {
    let address = 0;
    if (bytes.length > 0) {
      address = this.#allocate(bytes.length);
      this.write(address, bytes);
    }
    this.writeU32(addressAt, address);
    this.writeU32(lengthAt, bytes.length);
  }

  /** The same for a binary string. */
  giveText(addressAt, lengthAt, text) {
    this.give(addressAt, lengthAt, bytesOf(text));
  }

  #allocate(length) {
    this.allocating = true;
    try {
      const address = this.exports.proxy_on_memory_allocate(length) >>> 0;
      if (address === 0) throw new OutOfBounds();
      return address;
    } catch (error) {
      // That ends the VM, but not the call: the module is told that it failed.
      if (!isTrap(error)) throw error;
      this.failed = true;
      throw new OutOfBounds();
    } finally {
      this.allocating = false;
    }
  }

  #place(at, length) {
    // Memory that has grown is another buffer.
    const { buffer } = this.exports.memory;
    if (at + length > buffer.byteLength) throw new OutOfBounds();
    return new Uint8Array(buffer, at, length);
  }
}
