// Builds the page: bundles scripts and styles, writes the examples, and puts the module beside them.
//
//   node build.mjs PACKAGES MODULE OUT
//
// PACKAGES is a folder with node_modules, as package-lock.json has them.

import { copyFile, mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createPublicKey } from "node:crypto";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const [packages, module, out] = process.argv.slice(2).map((path) => resolve(path));
const here = dirname(fileURLToPath(import.meta.url));
const repository = resolve(here, "../..");
const { build } = createRequire(join(packages, "package.json"))("esbuild");

const read = (path) => readFile(join(repository, path), "utf8");
const json = async (path) => JSON.parse(await read(path));

/** The fences of a page in JSON, each with the heading and the first paragraph above it. */
function sections(page) {
  return page.split(/^## /m).slice(1).flatMap((section) => {
    const [, title, about] = /^(.*)\n\n(.*)\n/.exec(section) ?? [];
    const fence = /^```json\n([\s\S]*?)^```/m.exec(section)?.[1];
    return fence ? [{ title, about: plain(about), document: fence.trimEnd() }] : [];
  });
}

/** JSON for people: what fits a line stands in one. */
function pretty(value, indent = "") {
  const line = inLine(value);
  if (line.length + indent.length <= 96 || typeof value !== "object" || value === null) return line;
  const inner = `${indent}  `;
  const items = Array.isArray(value)
    ? value.map((item) => inner + pretty(item, inner))
    : Object.entries(value).map(([name, item]) => `${inner}${JSON.stringify(name)}: ${pretty(item, inner)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return `${open}\n${items.join(",\n")}\n${indent}${close}`;
}

function inLine(value) {
  if (Array.isArray(value)) return `[${value.map(inLine).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${inLine(item)}`);
  return members.length > 0 ? `{ ${members.join(", ")} }` : "{}";
}

/** Without Markdown. */
const plain = (text) => text.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll("`", "");

/** The public halves of the keys for which tokens of examples are made, as they stand in documents. */
async function publicKey(name) {
  const path = name === "demo" ? "envoy/demo-keys/es256.pem" : `tests/keys/${name}.pem`;
  const { kty, x, y } = createPublicKey(await read(path)).export({ format: "jwk" });
  return { kty, x, y };
}

const isText = (value) => typeof value === "string";

/** What the page can send of a case: requests in texts, with a body in one piece. */
function requests(exchanges) {
  const fit = exchanges.filter(({ request: { headers = [], body = "", chunks, trailers, path = "/" } }) => {
    const texts = [path, body, ...headers.flat()];
    return texts.every(isText) && !chunks && !trailers;
  });
  const seen = new Set();
  const listed = fit.map(({ name, request, upstream, expect }) => ({
    name,
    http: request.http ?? 1,
    method: request.method ?? "GET",
    url: `https://${request.authority ?? "api.example.com"}${request.path ?? "/"}`,
    headers: request.headers ?? [],
    body: request.body ?? "",
    status: expect.status,
    upstream: upstream && isText(upstream.body ?? "")
      ? { status: upstream.status ?? 200, headers: upstream.headers ?? [], body: upstream.body ?? "" }
      : undefined,
  }));
  return listed.filter((request) => {
    const { name, status, ...rest } = request;
    const key = JSON.stringify(rest);
    return !seen.has(key) && seen.add(key);
  });
}

async function recipe({ title, about, document }, file) {
  const { tokens = {}, exchanges } = await json(`tests/cases/recipes/${file}`);
  return { title, about, document, tokens, requests: requests(exchanges) };
}

async function examples() {
  const page = await read("docs/recipes.md");
  const files = [...page.matchAll(/^\| \[[^\]]*\]\([^)]*\) \| `([^`]+)` \|$/gm)].map(([, file]) => file);
  const recipes = await Promise.all(sections(page).map((section, index) => recipe(section, files[index])));
  const own = await json("docs/playground/examples.json");
  const readme = /^```json\n([\s\S]*?)^```/m.exec(await read("README.md"))[1].trimEnd();
  const all = [...own.map((each) => ({ ...each, document: each.document ?? readme })), ...recipes];
  const texts = all.map(({ document, ...rest }) => ({
    ...rest,
    document: isText(document) ? document : pretty(document),
  }));
  const names = new Set(texts.flatMap(({ tokens }) => Object.values(tokens).map(({ key }) => key)));
  const keys = {};
  for (const name of names) {
    const key = await publicKey(name);
    if (key.kty === "EC") keys[name] = key;
  }
  return { keys, examples: texts };
}

/** The licences of the packages that are in the bundle. */
async function licences(inputs) {
  const names = inputs.map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]).filter(Boolean);
  const texts = [...new Set(names)].sort().map(async (name) => {
    const folder = join(packages, "node_modules", name);
    const { version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((each) => /^licen[cs]e/i.test(each));
    return `${name} ${version}\n\n${await readFile(join(folder, file), "utf8")}`;
  });
  return (await Promise.all(texts)).join("\n----\n\n");
}

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const { metafile } = await build({
  entryPoints: [join(here, "src/main.js"), join(here, "style.css")],
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome111", "firefox114", "safari16.4"],
  outdir: out,
  outbase: here,
  entryNames: "[name]",
  nodePaths: [join(packages, "node_modules")],
  legalComments: "none",
  logLevel: "warning",
  metafile: true,
});
await writeFile(join(out, "licences.txt"), await licences(Object.keys(metafile.inputs)));
await copyFile(join(here, "index.html"), join(out, "index.html"));
await copyFile(module, join(out, "portcullis.wasm"));
await writeFile(join(out, "examples.json"), JSON.stringify(await examples()));
// The schema is for completion and hints alone; the module says what is wrong with a document.
const schema = join(repository, "docs/schema/portcullis.schema.json");
const found = await readFile(schema, "utf8").catch(() => "{}");
const isForOthers = (name) => name === "markdownDescription" || name === "defaultSnippets";
const shown = JSON.stringify(JSON.parse(found), (name, value) => (isForOthers(name) ? undefined : value));
await writeFile(join(out, "schema.json"), shown);
const sizes = await Promise.all((await readdir(out)).map(async (name) => (await stat(join(out, name))).size));
console.error(`playground: ${sizes.length} files, ${Math.round(sizes.reduce((a, b) => a + b) / 1024)} KiB`);
