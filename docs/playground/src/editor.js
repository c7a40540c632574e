// The editor of the document: CodeMirror, in a shadow root, where it needs no inline styles.

import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, startCompletion } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, hoverTooltip, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

import { context } from "./document.js";
import { el } from "./dom.js";

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--code-name)" },
  { tag: [tags.string, tags.content], color: "var(--code-text)" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: "var(--code-value)" },
  { tag: [tags.comment], color: "var(--muted)", fontStyle: "italic" },
  { tag: tags.invalid, color: "var(--bad)" },
]);

const theme = EditorView.theme({
  "&": { height: "100%", fontSize: "13px", color: "var(--text)", backgroundColor: "var(--field)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55", overflow: "auto" },
  ".cm-content": { caretColor: "var(--text)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--field)", color: "var(--muted)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--line)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "var(--selection)",
  },
  ".cm-matchingBracket": { backgroundColor: "var(--selection)" },
  ".cm-tooltip": {
    backgroundColor: "var(--panel)",
    color: "var(--text)",
    border: "1px solid var(--border)",
    borderRadius: "6px",
    maxWidth: "28rem",
  },
  ".cm-tooltip .hint": { padding: "6px 10px", whiteSpace: "pre-wrap" },
  ".cm-tooltip .hint code": { fontFamily: "var(--mono)", fontSize: "12px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionInfo": { whiteSpace: "pre-wrap", padding: "6px 10px" },
  ".cm-completionIcon": { display: "none" },
  ".cm-diagnostic": { padding: "6px 10px" },
  ".cm-diagnostic-error": { borderLeft: "4px solid var(--bad)" },
  ".cm-panels": { backgroundColor: "var(--panel)", color: "var(--text)" },
  ".cm-textfield": { backgroundColor: "var(--field)", color: "var(--text)", border: "1px solid var(--border)" },
  ".cm-button": { backgroundImage: "none", backgroundColor: "var(--field)", border: "1px solid var(--border)" },
});

export class Editor {
  #language = new Compartment();
  #format = "json";
  #isSetting = false;

  /** `schema` answers what may stand where; `changed` is called after each change of a person's. */
  constructor(parent, { schema, changed, run }) {
    this.schema = schema;
    const root = parent.attachShadow({ mode: "open" });
    const frame = el("div", { className: "frame" });
    // Of the frame's own, since styles of the page do not reach in.
    frame.style.height = "100%";
    root.append(frame);
    const state = EditorState.create({
      extensions: [
        keymap.of([{ key: "Mod-Enter", run }]),
        lineNumbers(),
        foldGutter(),
        lintGutter(),
        history(),
        drawSelection(),
        indentOnInput(),
        indentUnit.of("  "),
        bracketMatching(),
        closeBrackets(),
        highlightActiveLine(),
        highlightSelectionMatches(),
        EditorView.lineWrapping,
        syntaxHighlighting(colours),
        theme,
        this.#language.of(json()),
        autocompletion({ override: [(asked) => this.#complete(asked)], icons: false }),
        hoverTooltip((view, at) => this.#hover(view, at)),
        keymap.of([
          { key: "Tab", run: acceptCompletion },
          ...closeBracketsKeymap,
          ...completionKeymap,
          ...lintKeymap,
          ...searchKeymap,
          ...historyKeymap,
          ...foldKeymap,
          ...defaultKeymap,
        ]),
        EditorView.contentAttributes.of({ "aria-label": "Document", "aria-describedby": "editor-help" }),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged || this.#isSetting) return;
          changed();
          this.#offer(update);
        }),
      ],
    });
    this.view = new EditorView({ state, parent: frame, root });
  }

  get text() {
    return this.view.state.doc.toString();
  }

  get format() {
    return this.#format;
  }

  set(text, format) {
    this.#format = format;
    const language = format === "yaml" ? yaml() : json();
    this.#isSetting = true;
    this.view.dispatch({
      changes: { from: 0, to: this.view.state.doc.length, insert: text },
      effects: this.#language.reconfigure(language),
      selection: { anchor: 0 },
    });
    this.#isSetting = false;
  }

  replace(from, to, insert) {
    this.view.dispatch({ changes: { from, to, insert } });
  }

  /** Marks problems at their places. */
  mark(problems) {
    const length = this.view.state.doc.length;
    const marks = problems.map(({ from, to, message }) => {
      const end = Math.min(Math.max(to, from + 1), length);
      return { from: Math.min(from, end), to: end, severity: "error", message };
    });
    this.view.dispatch(setDiagnostics(this.view.state, marks));
  }

  /** Goes to a place. */
  show(from, to) {
    const length = this.view.state.doc.length;
    const [anchor, head] = [from, to].map((at) => Math.min(at, length));
    this.view.dispatch({ selection: { anchor, head }, effects: EditorView.scrollIntoView(anchor, { y: "center" }) });
    this.view.focus();
  }

  /** A pair of quotation marks that was just opened in JSON: what may stand in it. */
  #offer({ view, state, transactions }) {
    const { head } = state.selection.main;
    const isTyped = transactions.some((each) => each.isUserEvent("input.type"));
    if (this.#format !== "json" || !isTyped || state.sliceDoc(head - 1, head + 1) !== '""') return;
    // Not while the view is being updated.
    setTimeout(() => startCompletion(view));
  }

  #complete({ state, pos, explicit }) {
    const line = state.doc.lineAt(pos);
    const [before, rest] = [line.text.slice(0, pos - line.from), line.text.slice(pos - line.from)];
    const isJson = this.#format === "json";
    const [typed, word] = (isJson ? /"?([\w./-]*)$/ : /([\w./-]*)$/).exec(before);
    if (!explicit && typed === "") return null;
    const [following, after] = (isJson ? /^([\w./-]*)"?/ : /^([\w./-]*)/).exec(rest);
    // All of the word, with its quotation marks; what is compared stands between them.
    const whole = { from: pos - typed.length, to: pos + following.length };
    const found = context(state.doc.toString(), this.#format, whole.from, whole.to);
    if (!found) return null;
    const hasColon = /^\s*:/.test(rest.slice(following.length));
    const options = found.kind === "name" ? this.#names(found, hasColon) : this.#values(found);
    const written = options.map(({ text, ...option }) => ({ ...option, apply: (view) => put(view, whole, text) }));
    if (written.length === 0) return null;
    return { from: pos - word.length, to: pos + after.length, options: written };
  }

  #names({ path, names }, hasColon) {
    const isJson = this.#format === "json";
    const members = [...this.schema.members(path)].filter(([name]) => !names.includes(name));
    return members.map(([name, { schema, required }]) => {
      const start = isJson ? (this.schema.start(schema) ?? "") : "";
      const word = isJson ? `"${name}"` : name;
      return {
        label: name,
        detail: required ? "required" : undefined,
        boost: required ? 1 : 0,
        info: this.schema.hint([...path, name])?.description,
        text: hasColon ? word : `${word}: ${start}`,
      };
    });
  }

  #values({ path }) {
    const isJson = this.#format === "json";
    return this.schema.values(path).map((value) => {
      const isPlain = typeof value === "string" && !isJson && /^[a-zA-Z][\w-]*$/.test(value);
      const label = typeof value === "string" ? value : JSON.stringify(value);
      return { label, text: isPlain ? value : JSON.stringify(value) };
    });
  }

  #hover(view, at) {
    const line = view.state.doc.lineAt(at);
    const words = [...line.text.matchAll(this.#format === "json" ? /"(?:[^"\\]|\\.)*"|[\w.-]+/g : /[\w.-]+/g)];
    const word = words.find(({ index, 0: text }) => line.from + index <= at && at <= line.from + index + text.length);
    if (!word) return null;
    const [from, to] = [line.from + word.index, line.from + word.index + word[0].length];
    const found = context(view.state.doc.toString(), this.#format, from, to);
    if (!found) return null;
    const name = word[0].replace(/^"|"$/g, "");
    const hint = this.schema.hint(found.kind === "name" ? [...found.path, name] : found.path);
    if (!hint || (!hint.description && hint.values.length === 0)) return null;
    return { pos: from, end: to, above: true, create: () => ({ dom: hintOf(hint) }) };
  }
}

/** Puts a text in the place of a word, and the cursor behind it, or into what it opens. */
function put(view, { from }, text) {
  // More of the word may have been typed since.
  const { doc, selection } = view.state;
  const [more] = /^[\w./-]*"?/.exec(doc.sliceString(selection.main.head, doc.lineAt(selection.main.head).to));
  const end = text.startsWith('"') ? selection.main.head + more.length : selection.main.head + /^[\w./-]*/.exec(more)[0].length;
  const into = /(\{\}|\[\])$/.test(text) ? 1 : 0;
  view.dispatch({
    changes: { from, to: end, insert: text },
    selection: { anchor: from + text.length - into },
    userEvent: "input.complete",
  });
}

function hintOf({ description, kinds, default: usual, values }) {
  const facts = [kinds.join(" or "), usual && `default ${usual}`, values.length > 0 && `one of ${values.join(", ")}`];
  return el(
    "div",
    { className: "hint" },
    description && el("div", {}, description),
    el("code", {}, facts.filter(Boolean).join("; ")),
  );
}
