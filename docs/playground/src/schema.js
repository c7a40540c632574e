// What the schema of documents says of a place: for completion and for hints.

/** Walks a JSON Schema. It may be absent, and then nothing is known. */
export class Schema {
  constructor(root) {
    this.root = root;
  }

  /** All subschemas that may hold at a path; of alternatives all. */
  at(path) {
    let found = this.root ? this.#flat(this.root) : [];
    for (const part of path) {
      found = found.flatMap((schema) => this.#step(schema, part)).flatMap((schema) => this.#flat(schema));
    }
    return [...new Set(found)];
  }

  /** The members that an object there may have, by name. */
  members(path) {
    const members = new Map();
    for (const { properties = {}, required = [] } of this.at(path)) {
      for (const [name, schema] of Object.entries(properties)) {
        const before = members.get(name);
        members.set(name, {
          schema: before?.schema ?? schema,
          required: before?.required || required.includes(name),
        });
      }
    }
    return members;
  }

  /** The values that may stand there, as far as they are few. */
  values(path) {
    const values = this.at(path).flatMap((schema) => {
      if ("const" in schema) return [schema.const];
      if (schema.enum) return schema.enum;
      if (schema.type === "boolean") return [true, false];
      return schema.examples ?? [];
    });
    return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
  }

  /** What is said of a place: its description, kind, default, and values. */
  hint(path) {
    const all = this.at(path);
    if (all.length === 0) return undefined;
    const told = all.find(({ description }) => description) ?? all[0];
    const kinds = all.flatMap(({ type }) => type ?? []);
    const values = this.values(path).slice(0, 12);
    const withDefault = all.find((schema) => "default" in schema);
    return {
      title: told.title,
      description: told.description,
      kinds: [...new Set(kinds)],
      default: withDefault && JSON.stringify(withDefault.default),
      values: values.map((value) => JSON.stringify(value)),
    };
  }

  /** What may stand for a member, to begin with. */
  start(schema) {
    const [first] = this.#flat(schema);
    const kinds = new Set(this.#flat(schema).flatMap(({ type }) => type ?? []));
    // Whoever writes a switch down means the other way.
    if (typeof first?.default === "boolean") return String(!first.default);
    if (first?.default !== undefined) return JSON.stringify(first.default);
    if (kinds.has("object") && !kinds.has("string")) return "{}";
    if (kinds.has("array") && !kinds.has("string")) return "[]";
    return undefined;
  }

  #flat(schema, seen = new Set()) {
    if (typeof schema !== "object" || schema === null || seen.has(schema)) return [];
    seen.add(schema);
    const { $ref, allOf = [], anyOf = [], oneOf = [], then, else: otherwise } = schema;
    const inner = [...allOf, ...anyOf, ...oneOf, then, otherwise, $ref && this.#resolve($ref)];
    return [schema, ...inner.flatMap((each) => this.#flat(each, seen))];
  }

  #step({ properties = {}, patternProperties = {}, additionalProperties, items, prefixItems }, part) {
    if (typeof part === "number") return [prefixItems?.[part] ?? items].filter(Boolean);
    if (Object.hasOwn(properties, part)) return [properties[part]];
    const patterns = Object.entries(patternProperties).filter(([pattern]) => new RegExp(pattern, "u").test(part));
    if (patterns.length > 0) return patterns.map(([, schema]) => schema);
    return typeof additionalProperties === "object" ? [additionalProperties] : [];
  }

  #resolve(reference) {
    const parts = reference.replace(/^#\/?/, "").split("/").filter(Boolean);
    const plain = parts.map((part) => decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~"));
    return plain.reduce((schema, part) => schema?.[part], this.root);
  }
}
