// Modules of a few bytes, to see what the host makes of those that misbehave.

const I32 = 0x7f;
const number = (value) => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...number(value >> 7)]);
const list = (items) => [...number(items.length), ...items.flat()];
const name = (text) => list([...text].map((each) => each.charCodeAt(0)));
const section = (id, content) => [id, ...number(content.length), ...content];

export const TRAP = [0x00];
export const PAUSE = [0x41, 0x01];
const YES = [0x41, 0x01];
const NOTHING = [];

/** A module of proxy-wasm with this for its callback of request headers, in code without locals. */
export function moduleThat(does) {
  const functions = [
    ["proxy_abi_version_0_2_1", 0, 0, NOTHING],
    ["proxy_on_context_create", 2, 0, NOTHING],
    ["proxy_on_vm_start", 2, 1, YES],
    ["proxy_on_configure", 2, 1, YES],
    ["proxy_on_memory_allocate", 1, 1, TRAP],
    ["proxy_on_request_headers", 3, 1, does],
  ];
  const types = functions.map(([, parameters, results]) => {
    const kinds = (count) => list(Array(count).fill([I32]));
    return [0x60, ...kinds(parameters), ...kinds(results)];
  });
  const exported = functions.map(([each], index) => [...name(each), 0x00, index]);
  const bodies = functions.map(([, , , code]) => list([0x00, ...code, 0x0b].map((byte) => [byte])));
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, list(types)),
    ...section(3, list(functions.map((_, index) => [index]))),
    ...section(5, list([[0x00, 0x01]])),
    ...section(7, list([[...name("memory"), 0x02, 0x00], ...exported])),
    ...section(10, list(bodies)),
  ]);
}
