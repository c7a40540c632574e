// WASI preview 1, as far as Envoy serves it: clocks, randomness, environment and two outputs.

import { bytesOf, concat, encode } from "./bytes.js";
import { Trap } from "./status.js";

const BADF = 8;
const INVAL = 28;
const NOENT = 44;
const NOSYS = 52;
const NOTSUP = 58;

const environment = (vm) => vm.environment.map(([name, value]) => bytesOf(encode(`${name}=${value}\0`)));
const answer = (status) => () => status;

const FUNCTIONS = {
  args_get: answer(0),
  args_sizes_get: (vm, count, size) => {
    vm.writeU32(count, 0);
    vm.writeU32(size, 0);
    return 0;
  },
  clock_time_get: (vm, clock, _precision, at) => {
    const REALTIME = 0;
    const MONOTONIC = 1;
    if (clock !== REALTIME && clock !== MONOTONIC) return NOTSUP;
    vm.writeU64(at, vm.now());
    return 0;
  },
  environ_get: (vm, pointers, at) => {
    for (const line of environment(vm)) {
      vm.writeU32(pointers, at);
      vm.write(at, line);
      pointers += 4;
      at += line.length;
    }
    return 0;
  },
  environ_sizes_get: (vm, count, size) => {
    const lines = environment(vm);
    vm.writeU32(count, lines.length);
    vm.writeU32(size, concat(lines).length);
    return 0;
  },
  fd_fdstat_get: (vm, fd, at) => {
    const CHARACTER_DEVICE = 2;
    const MAY_WRITE = 1 << 6;
    if (fd !== 1 && fd !== 2) return BADF;
    const state = new Uint8Array(24);
    [state[0], state[8]] = [CHARACTER_DEVICE, MAY_WRITE];
    vm.write(at, state);
    return 0;
  },
  fd_prestat_dir_name: answer(BADF),
  fd_prestat_get: answer(BADF),
  fd_write: (vm, fd, vectors, count, written) => {
    const level = { 1: 2, 2: 4 }[fd];
    if (level === undefined) return BADF;
    const pieces = Array.from({ length: count }, (_, index) => {
      const [at, length] = [0, 4].map((offset) => vm.readU32(vectors + index * 8 + offset));
      return vm.read(at, length);
    });
    const message = concat(pieces);
    vm.writeU32(written, message.length);
    const text = new TextDecoder().decode(message).replace(/\n$/, "");
    if (text !== "") vm.log.push({ level, message: text });
    return 0;
  },
  path_open: answer(NOENT),
  poll_oneoff: answer(0),
  proc_exit: (_vm, code) => {
    throw new Trap(`proc_exit(${code})`);
  },
  random_get: (vm, at, length) => {
    const MOST = 64 * 1024;
    if (length > MOST) return INVAL;
    vm.write(at, vm.random(length));
    return 0;
  },
  sched_yield: answer(0),
};

for (const name of "fd_close fd_fdstat_set_flags fd_pread fd_pwrite fd_read fd_seek".split(" ")) {
  FUNCTIONS[name] = answer(NOSYS);
}

/** The function of that name; what Envoy has and does not serve says so. */
export function wasi(name) {
  if (Object.hasOwn(FUNCTIONS, name)) return FUNCTIONS[name];
  return /^(fd|path|sock|clock)_/.test(name) ? answer(NOTSUP) : undefined;
}
