// Links that carry a state behind `#`, which browsers send to no server.

async function through(bytes, stream) {
  const piped = new Blob([bytes]).stream().pipeThrough(stream);
  return new Uint8Array(await new Response(piped).arrayBuffer());
}

/** The most that a link unfolds to. */
const MOST = 4 << 20;

export async function fold(state) {
  const bytes = new TextEncoder().encode(JSON.stringify(state));
  const compressed = await through(bytes, new CompressionStream("deflate-raw"));
  let text = "";
  for (const byte of compressed) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The state of a fragment, or `undefined` if it carries none. Throws if it cannot be read. */
export async function unfold(fragment) {
  const found = /^#?v1=([A-Za-z0-9_-]+)$/.exec(fragment);
  if (!found) return undefined;
  const text = atob(found[1].replaceAll("-", "+").replaceAll("_", "/"));
  const compressed = Uint8Array.from(text, (each) => each.charCodeAt(0));
  const bytes = await bounded(compressed);
  return JSON.parse(new TextDecoder().decode(bytes));
}

async function bounded(compressed) {
  const reader = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const pieces = [];
  let size = 0;
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    size += read.value.length;
    if (size > MOST) throw new Error("the link holds too much");
    pieces.push(read.value);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}
