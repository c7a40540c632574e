// Bytes as they cross to the module. Names and values of fields are binary strings, a character for
// each byte, so that they can be compared, cut and used as keys; bodies are Uint8Array.

const PIECE = 8192;

/** A binary string of these bytes. */
export function binary(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += PIECE) {
    text += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  }
  return text;
}

/** The bytes of a binary string. */
export function bytesOf(text) {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}

/** A binary string of a text in UTF-8. */
export function encode(text) {
  return binary(new TextEncoder().encode(text));
}

/** The text of a binary string; what is not UTF-8 is replaced. */
export function decode(text) {
  return new TextDecoder().decode(bytesOf(text));
}

export function concat(pieces) {
  const whole = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** In lower case as Envoy has names: letters of ASCII and no others. */
export function lower(text) {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** A number of 64 bits, in the order in which Envoy hands attributes over. */
export function u64(number) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, BigInt(number)), true);
  return binary(bytes);
}
