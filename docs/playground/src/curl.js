// Requests in the words of curl.

/** The words of a command as a shell parts them: quotes, escapes, lines that go on. */
export function words(command) {
  const found = [];
  let word;
  const pattern = /\\\r?\n|\s+|'([^']*)'|"((?:\\[\s\S]|[^"\\])*)"|\$'((?:\\[\s\S]|[^'\\])*)'|\\([\s\S])|([^\s'"\\$]+|\$)/g;
  for (const [all, single, double, escaped, one, plain] of command.matchAll(pattern)) {
    if (/^(\\\r?\n|\s+)$/.test(all)) {
      if (word !== undefined) found.push(word);
      word = undefined;
      continue;
    }
    const inDouble = double?.replace(/\\([$`"\\\n])/g, (_, each) => (each === "\n" ? "" : each));
    word = (word ?? "") + (single ?? inDouble ?? unescaped(escaped) ?? one ?? plain ?? "");
  }
  if (word !== undefined) found.push(word);
  return found;
}

function unescaped(text) {
  const known = { n: "\n", r: "\r", t: "\t", 0: "\0" };
  return text?.replace(/\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|([\s\S]))/g, (_, hex, unicode, each) =>
    hex || unicode ? String.fromCharCode(parseInt(hex ?? unicode, 16)) : (known[each] ?? each),
  );
}

// Options with an argument that say nothing of what the service gets, and those without one.
const PASSED_OVER = new Set(
  "-o --output -w --write-out -m --max-time --connect-timeout --cacert --cert --key -E --resolve --retry -x --proxy".split(" "),
);
const DATA = new Set("-d --data --data-ascii --data-raw --data-binary --data-urlencode --json".split(" "));

/** A request from a command; an error says what cannot be told. */
export function readCurl(command) {
  const [name, ...rest] = words(command.trim());
  if (name !== "curl") throw new Error("the command does not begin with curl");
  const request = { method: undefined, url: undefined, headers: [], body: undefined, http: 1 };
  const data = [];
  let asQuery = false;
  const left = spread(rest);
  while (left.length > 0) {
    const word = left.shift();
    const argument = () => {
      if (left.length === 0) throw new Error(`${word} lacks its argument`);
      return left.shift();
    };
    if (word === "-X" || word === "--request") request.method = argument();
    else if (word === "-H" || word === "--header") request.headers.push(field(argument()));
    else if (DATA.has(word)) data.push(given(word, argument(), request));
    else if (word === "-A" || word === "--user-agent") request.headers.push(["user-agent", argument()]);
    else if (word === "-e" || word === "--referer") request.headers.push(["referer", argument()]);
    else if (word === "-b" || word === "--cookie") request.headers.push(["cookie", argument()]);
    else if (word === "-u" || word === "--user") request.headers.push(["authorization", basic(argument())]);
    else if (word === "--url") request.url = argument();
    else if (word === "-I" || word === "--head") request.method = "HEAD";
    else if (word === "-G" || word === "--get") asQuery = true;
    else if (word === "--http2" || word === "--http2-prior-knowledge") request.http = 2;
    else if (word === "-F" || word === "--form") throw new Error("forms with -F cannot be read; paste the body");
    else if (PASSED_OVER.has(word)) argument();
    else if (!word.startsWith("-")) request.url ??= word;
  }
  return finished(request, data, asQuery);
}

function finished(request, data, asQuery) {
  const { url } = request;
  if (!url) throw new Error("there is no URL");
  const whole = /^[a-z]+:\/\//i.test(url) ? url : `http://${url}`;
  const body = data.length > 0 ? data.join("&") : undefined;
  if (asQuery && body !== undefined) {
    const method = request.method ?? "GET";
    return { ...request, url: `${whole}${whole.includes("?") ? "&" : "?"}${body}`, method, body: undefined };
  }
  const has = (name) => request.headers.some(([each]) => each.toLowerCase() === name);
  if (body !== undefined && !has("content-type")) {
    request.headers.push(["content-type", "application/x-www-form-urlencoded"]);
  }
  const headers = request.headers.filter(([, value]) => value !== undefined);
  const method = request.method ?? (body === undefined ? "GET" : "POST");
  return { ...request, url: whole, method, headers, body };
}

/** `-XPOST` is `-X POST`, `-sS` is `-s -S`, and `--data=x` is `--data x`. */
function spread(given) {
  return given.flatMap((word) => {
    const long = /^(--[a-z0-9-]+)=([\s\S]*)$/.exec(word);
    if (long) return [long[1], long[2]];
    const joined = /^(-[XHdAebuomEwx])([\s\S]+)$/.exec(word);
    if (joined) return [joined[1], joined[2]];
    return /^-[a-zA-Z]{2,}$/.test(word) ? spreadShort(word) : [word];
  });
}

function spreadShort(word) {
  const at = [...word].findIndex((letter, index) => index > 0 && "XHdAebuomEwx".includes(letter));
  const flags = [...word.slice(1, at < 0 ? undefined : at)].map((letter) => `-${letter}`);
  if (at < 0) return flags;
  const argument = word.slice(at + 1);
  return [...flags, `-${word[at]}`, ...(argument ? [argument] : [])];
}

function field(line) {
  const [, name, value] = /^([^:;]*)[:;]?\s*([\s\S]*)$/.exec(line);
  // `-H 'Name:'` takes a field of curl's own away; `-H 'Name;'` sends an empty one.
  const isRemoved = value === "" && line.trimEnd().endsWith(":");
  return [name.trim(), isRemoved ? undefined : value.trim()];
}

function given(option, argument, request) {
  if (argument.startsWith("@") && option !== "--data-raw") {
    throw new Error(`${argument} is a file of yours; paste what is in it`);
  }
  if (option === "--json") {
    request.headers.push(["content-type", "application/json"], ["accept", "application/json"]);
  }
  if (option === "--data-urlencode") {
    const [, name, value] = /^(?:([^=]*)=)?([\s\S]*)$/.exec(argument);
    return name ? `${name}=${encodeURIComponent(value)}` : encodeURIComponent(value);
  }
  return option === "-d" || option === "--data" || option === "--data-ascii" ? argument.replace(/[\r\n]/g, "") : argument;
}

function basic(pair) {
  const bytes = new TextEncoder().encode(pair);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

function quoted(text) {
  if (/^[\w./:@%+=,-]+$/.test(text)) return text;
  // A text area would take carriage returns away.
  if (text.includes("\r")) {
    const escapes = { "\\": "\\\\", "'": "\\'", "\r": "\\r", "\n": "\\n" };
    return `$'${text.replace(/[\\'\r\n]/g, (each) => escapes[each])}'`;
  }
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A command for a request, to be run against a real gateway. */
export function writeCurl({ method, url, headers, body, http }) {
  const lines = [`curl -i ${http === 2 ? "--http2-prior-knowledge " : ""}-X ${method} ${quoted(url)}`];
  for (const [name, value] of headers) lines.push(`-H ${quoted(value === "" ? `${name};` : `${name}: ${value}`)}`);
  if (body !== undefined && body !== "") lines.push(`--data-binary ${quoted(body)}`);
  return lines.join(" \\\n  ");
}
