// What came of a request, as a person reads it.

import { el, fill } from "./dom.js";

/** The verdict in one line, and of what kind it is. */
function verdict({ failure, ended, response, upstreamIsWhole, explained, details }) {
  const route = explained?.find((line) => line.route !== undefined || line.code !== undefined);
  const refusal = explained?.find((line) => line.refused_by && line.mode === "enforce");
  if (failure) return { kind: "bad", word: "503", text: `The module trapped: ${failure}. Envoy answers 503, and so it goes on until the VM is made anew.` };
  if (ended === "hang") return { kind: "bad", word: "No response", text: "The request waits for what does not come; in Envoy a timeout would end it." };
  if (ended === "reset") return { kind: "bad", word: "Reset", text: "The client has got less than a response." };
  const { status } = response;
  if (upstreamIsWhole && details === "via_upstream") {
    const where = route?.route ? ` by route “${route.route}”` : "";
    return { kind: "good", word: `${status}`, text: `Passed${where}: the service got the request, and this is its response.` };
  }
  if (upstreamIsWhole) return { kind: "bad", word: `${status}`, text: "The service got the request; its response was refused." };
  const code = route?.code ?? refusal?.code ?? problem(response)?.code;
  if (!code) return { kind: "note", word: `${status}`, text: "Answered by the filter; the service got nothing." };
  const by = refusal ? ` by ${refusal.refused_by}` : "";
  const reason = route?.reason ?? refusal?.reason;
  const why = reason && reason !== code ? ` (${reason})` : "";
  return { kind: "bad", word: `${status} ${code}`, text: `Refused${by}${why}: the service got nothing. ${problem(response)?.title ?? ""}` };
}

function problem({ body }) {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function history(results) {
  if (results.length < 2) return undefined;
  const kinds = results.map((result) => ({ kind: verdict(result).kind, word: String(result.response?.status ?? "–") }));
  return el(
    "ol",
    { className: "history", "aria-label": "Statuses in order" },
    kinds.map(({ kind, word }) => el("li", { className: kind }, word)),
  );
}

/** Shows the last of these results; `goTo` is called with a JSON pointer to show. */
export function show(results, { goTo, counters }) {
  const result = results.at(-1);
  const { kind, word, text } = verdict(result);
  const banner = el("div", { className: `banner ${kind}` }, el("strong", {}, word), el("p", {}, text));
  fill(document.getElementById("verdict"), banner, history(results));
  fill(
    document.getElementById("outcome"),
    policies(result, goTo),
    upstream(result),
    response(result),
    record(result),
    lines("Security events", result.events.map((event) => JSON.stringify(event, null, 2))),
    lines("Warnings of the filter", result.lines.map(({ message }) => message)),
    counted(result, counters),
  );
}

const titled = (title, ...content) => el("section", {}, el("h3", {}, title), content);

function policies({ explained, waitedNanos, record: logged, recordIfAsked }, goTo) {
  if (!explained) return undefined;
  const refusals = explained.filter((line) => line.refused_by);
  const verdicts = explained.filter((line) => line.policy);
  // What waited for its body, or was asked of the response, is in the record alone.
  const last = (logged ?? recordIfAsked)?.["portcullis.verdicts"] ?? {};
  const rows = verdicts.map(({ policy, verdict: word }) => {
    const of = refusals.filter((line) => line.refused_by === policy);
    return row(policy, last[policy] ?? word, of, goTo);
  });
  const others = refusals.filter((line) => !verdicts.some(({ policy }) => policy === line.refused_by));
  rows.push(...others.map((line) => row(line.refused_by, line.mode === "shadow" ? "shadow_denied" : "denied", [line], goTo)));
  const waited = waitedNanos > 0n && el("p", { className: "hint" }, `It waited ${Number(waitedNanos / 1_000_000n)} ms for its turn.`);
  if (rows.length === 0) return titled("Policies", el("p", { className: "quiet" }, "None was asked."), waited);
  const head = el("tr", {}, ["Policy", "Verdict", "Why"].map((name) => el("th", { scope: "col" }, name)));
  return titled("Policies", el("table", { id: "policies" }, el("thead", {}, head), el("tbody", {}, rows)), waited);
}

function row(policy, word, refusals, goTo) {
  const why = refusals.map(({ mode, code, reason, detail, errors }) => {
    const { rule, ...rest } = typeof detail === "object" && detail !== null ? detail : {};
    const facts = Object.entries(rest).map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
    const found = Array.isArray(errors) ? errors.map((each) => Object.values(each).join(" ")) : [];
    const place = rule && el("button", { type: "button", className: "place", title: "Show it in the document", onclick: () => goTo(rule) }, rule);
    const words = [mode === "shadow" ? "would be" : undefined, code, reason && reason !== code ? `(${reason})` : undefined].filter(Boolean).join(" ");
    const more = [...facts, ...found].join("; ");
    return el("div", {}, `${words} `, place, more && el("div", { className: "quiet" }, more));
  });
  return el("tr", {}, el("td", {}, policy), el("td", { className: `word ${word}` }, word), el("td", {}, why));
}

function upstream({ sent, upstream: got, upstreamIsWhole }) {
  if (!got) return titled("What the service gets", el("p", { className: "quiet" }, "Nothing."));
  const given = sent.headers.map(([name]) => name.toLowerCase());
  const kept = got.headers.map(([name]) => name);
  const gone = sent.headers.filter(([name]) => !kept.includes(name.toLowerCase()) && !["host", "connection"].includes(name.toLowerCase()));
  const own = ["x-forwarded-proto", "x-request-id", "content-length"];
  const fields = got.headers.map(([name, value]) => {
    const isNew = !given.includes(name) && !own.includes(name);
    return field(isNew ? `+ ${name}` : name, value, isNew ? "new" : "");
  });
  const removed = gone.map(([name, value]) => field(`− ${name}`, shortened(value), "gone"));
  const first = el("span", { className: "name" }, `${got.method} ${got.path}\n`);
  const host = field("host", got.authority, "");
  const part = !upstreamIsWhole && el("p", { className: "hint" }, "Its head alone: the rest was refused.");
  return titled("What the service gets", el("pre", { id: "upstream-seen", tabIndex: 0 }, first, host, fields, removed), got.body && el("pre", { tabIndex: 0 }, got.body), part);
}

const shortened = (text) => (text.length > 48 ? `${text.slice(0, 40)}…` : text);

function field(name, value, className) {
  return el("span", { className }, el("span", { className: className === "" ? "name" : "" }, `${name}: `), `${value}\n`);
}

function response({ response: got }) {
  if (!got) return undefined;
  const fields = [...got.headers, ...got.trailers].map(([name, value]) => field(name, value, ""));
  const head = el("pre", { id: "response-seen", tabIndex: 0 }, el("span", { className: "name" }, `${got.status}\n`), fields);
  return titled("What the client gets", head, got.body && el("pre", { id: "response-body", tabIndex: 0 }, got.body));
}

function record({ record: logged, recordIfAsked }) {
  const shown = logged ?? recordIfAsked;
  if (!shown) return undefined;
  const note = !logged && el("p", { className: "hint" }, "The document has no access_log; with \"access_log\": {} this would be logged.");
  return titled("Record", note, el("pre", { id: "record", tabIndex: 0 }, JSON.stringify(shown, null, 2)));
}

function lines(title, texts) {
  return texts.length > 0 && titled(title, texts.map((text) => el("pre", { tabIndex: 0 }, text)));
}

function counted({ counters: changed }, all) {
  const rows = changed.map(([name, difference, value]) =>
    el(
      "tr",
      {},
      el("td", {}, el("code", {}, `wasmcustom.${name}`)),
      el("td", { className: "number" }, difference > 0 ? `+${difference}` : String(difference)),
      el("td", { className: "number" }, String(value)),
    ),
  );
  if (rows.length === 0) return undefined;
  const head = ["Counter", "Change", "Now"].map((name, at) => el("th", { scope: "col", className: at > 0 ? "number" : "" }, name));
  const others = [...all].filter(([name, value]) => value !== 0 && !changed.some(([each]) => each === name)).length;
  const rest = others > 0 && el("p", { className: "hint" }, `${others} more are not zero.`);
  return titled("Counters and gauges", el("table", { id: "counters" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)), rest);
}
