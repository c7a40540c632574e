// The document as it stands in the editor: JSON or YAML, and where the things in it are.

import { LineCounter, isAlias, isMap, isPair, isScalar, isSeq, parseDocument, stringify } from "yaml";

// Merge keys as the command reads them: version 1.2 of YAML, where `yes` and `off` are texts.
const YAML_OPTIONS = { version: "1.2", merge: true, uniqueKeys: true, prettyErrors: false };
const JSON_OPTIONS = { ...YAML_OPTIONS, uniqueKeys: false };

const tree = (text, options) => parseDocument(text, { ...options, lineCounter: new LineCounter() });

/**
 * What the filter gets: `json`, or the problems that keep YAML from becoming it. JSON is taken as it is,
 * byte for byte, and the filter says what is wrong with it.
 */
export function toJson(text, format) {
  if (format === "json") return { json: text, problems: [] };
  const parsed = tree(text, YAML_OPTIONS);
  const problems = parsed.errors.map(({ message, pos }) => ({ message, from: pos[0], to: pos[1] }));
  if (problems.length > 0) return { problems };
  try {
    return { json: JSON.stringify(parsed.toJS()) ?? "", problems };
  } catch (error) {
    return { problems: [{ message: error.message, from: 0, to: 0 }] };
  }
}

/** The same document in the other format, or `undefined` if it cannot be read. */
export function convert(text, to) {
  try {
    if (to === "yaml") return stringify(JSON.parse(text), { lineWidth: 100 });
    const { json } = toJson(text, "yaml");
    return json === undefined ? undefined : `${JSON.stringify(JSON.parse(json), null, 2)}\n`;
  } catch {
    return undefined;
  }
}

/** The parts of a JSON pointer. */
export function parts(pointer) {
  return pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function child(node, part, parsed) {
  const of = isAlias(node) ? node.resolve(parsed) : node;
  if (isMap(of)) return of.items.find(({ key }) => String(isScalar(key) ? key.value : key) === part);
  if (isSeq(of)) return /^\d+$/.test(part) ? of.items[Number(part)] : undefined;
  return undefined;
}

const valueOf = (item) => (isPair(item) ? item.value : item);

/** Follows a pointer as far as it leads: how many parts, and what stands there. */
function follow(parsed, pointer) {
  let item = parsed.contents;
  let count = 0;
  for (const part of parts(pointer)) {
    const next = child(valueOf(item), part, parsed);
    if (next === undefined || next === null) break;
    item = next;
    count += 1;
  }
  return { item, count };
}

/** Where a pointer leads in the text: the name of a member, or an item, and what it has. */
export function place(text, format, pointer) {
  const parsed = tree(text, format === "json" ? JSON_OPTIONS : YAML_OPTIONS);
  const { item } = follow(parsed, pointer);
  const value = valueOf(item);
  const key = isPair(item) ? item.key : undefined;
  // An object is marked by its name, or by its first line; anything else by itself.
  const shown = key && (isMap(value) || isSeq(value) || !value?.range) ? key : (value ?? key);
  const [from, to] = shown?.range ?? [0, 0];
  const line = text.indexOf("\n", from);
  return { from, to: shown === key || isScalar(shown) || line < 0 ? to : Math.min(to, line) };
}

/** Where a value stands, to be replaced. */
export function rangeOf(text, format, pointer) {
  const parsed = tree(text, format === "json" ? JSON_OPTIONS : YAML_OPTIONS);
  const { item, count } = follow(parsed, pointer);
  const range = valueOf(item)?.range;
  return count === parts(pointer).length && range ? { from: range[0], to: range[1] } : undefined;
}

/**
 * A problem as the filter words it: its place in the text, and what is wrong. A name in the place may have
 * a colon, so the place is the longest part of the message that leads somewhere.
 */
export function problemAt(message, text, format) {
  const syntax = /^document: (.* at line (\d+) column (\d+)(?:: .*)?)$/s.exec(message);
  if (syntax && format === "json") {
    const [, words, line, column] = syntax;
    const from = offset(text, Number(line), Number(column));
    return { message: words, from, to: Math.min(from + 1, text.length) };
  }
  const parsed = tree(text, format === "json" ? JSON_OPTIONS : YAML_OPTIONS);
  let best;
  for (let at = message.indexOf(": "); at >= 0; at = message.indexOf(": ", at + 1)) {
    const pointer = message.slice(0, at);
    const { count } = follow(parsed, pointer);
    if (pointer.startsWith("/") && (!best || count > best.count)) {
      best = { pointer, count, message: message.slice(at + 2) };
    }
  }
  if (!best) return { message, from: 0, to: firstWord(text) };
  return { pointer: best.pointer, message: best.message, ...place(text, format, best.pointer) };
}

const firstWord = (text) => /^\s*\S?/.exec(text)[0].length;

/** Lines and columns begin at 1; columns count bytes of UTF-8, as the filter does. */
function offset(text, line, column) {
  let from = 0;
  for (let left = line; left > 1 && from >= 0; left -= 1) from = text.indexOf("\n", from) + 1;
  let bytes = 1;
  const encoder = new TextEncoder();
  for (const character of text.slice(from)) {
    if (bytes >= column || character === "\n") break;
    bytes += encoder.encode(character).length;
    from += character.length;
  }
  return Math.min(from, text.length);
}

/**
 * Where the cursor is: the path of what surrounds it, the names that are there already, and whether a name
 * or a value is asked for. What is being typed, from `from` to `to`, is put in as a word of its own, which
 * the reader of YAML takes for a name or a value even where the rest is not written yet.
 */
export function context(text, format, from, to) {
  const MARK = "portcullis\u2063mark";
  const marked = text.slice(0, from) + (format === "json" ? `"${MARK}"` : MARK) + text.slice(to);
  const parsed = tree(marked, JSON_OPTIONS);
  const found = find(parsed.contents, MARK, []);
  if (!found) return undefined;
  const { path, kind, map } = found;
  const names = (map?.items ?? []).map(({ key }) => String(key?.value ?? "")).filter((name) => name !== MARK);
  return { path, kind, names };
}

function find(node, mark, path) {
  if (isScalar(node)) return node.value === mark ? { path, kind: "value" } : undefined;
  if (isMap(node)) {
    for (const pair of node.items) {
      const name = isScalar(pair.key) ? String(pair.key.value) : "";
      if (name === mark) return { path, kind: "name", map: node };
      const found = pair.value && find(pair.value, mark, [...path, name]);
      if (found) return found;
    }
  }
  if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) {
      const found = find(item, mark, [...path, index]);
      if (found) return found;
    }
  }
  return undefined;
}
