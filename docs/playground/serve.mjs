// Serves a folder on 127.0.0.1, and nothing but its files.
//
//   node serve.mjs FOLDER [PORT]

import { readFile, readdir } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";

const [folder, port = "8088"] = process.argv.slice(2);
const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
};
const names = new Set(await readdir(folder));

const server = createServer(async (request, response) => {
  const path = request.url.split("?")[0];
  const name = path === "/" ? "index.html" : path.slice(1);
  const isRead = request.method === "GET" || request.method === "HEAD";
  if (!isRead || !names.has(name)) {
    response.writeHead(isRead ? 404 : 405, { "content-type": "text/plain" }).end();
    return;
  }
  const body = await readFile(join(folder, name));
  response.writeHead(200, {
    "content-type": TYPES[extname(name)] ?? "application/octet-stream",
    "content-length": body.length,
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  });
  response.end(request.method === "HEAD" ? undefined : body);
});

server.on("error", (error) => {
  console.error(`playground: ${error.code === "EADDRINUSE" ? `port ${port} is taken; PORT chooses another` : error.message}`);
  process.exit(1);
});
server.listen(Number(port), "127.0.0.1", () => {
  console.log(`playground: http://127.0.0.1:${server.address().port}/`);
});
