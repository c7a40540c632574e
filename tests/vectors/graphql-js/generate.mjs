// Makes documents by chance, and writes what graphql-js says of each: whether it parses, and how much there is in
// its operations once fragments are put in.
//
//   npm install graphql@16 && node generate.mjs > vectors.json
import { parse, Kind } from 'graphql';

let state = 20251130;
const random = (below) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 4294967296) * below);
};
const one = (list) => list[random(list.length)];
const some = (most, make) => Array.from({ length: random(most + 1) }, make);
const NAMES = ['a', 'b', 'users', 'on', 'query', 'fragment', 'true', 'null', '__typename', '__schema', '_x1', 'type'];
const name = () => one(NAMES);
const unique = (most, make) => {
  const seen = new Map(some(most, () => [name(), make()]));
  return [...seen].map(([key, value]) => `${key}:${value}`);
};
const value = (depth) =>
  one([
    () => '$v', () => '7', () => '-0', () => '1.5e3', () => '"t\\u00e9\\n"', () => '"""b "" \\""" \n"""', () => 'E',
    () => 'null', () => 'true',
    () => (depth > 0 ? `[${some(3, () => value(depth - 1)).join(' ')}]` : '[]'),
    () => (depth > 0 ? `{${unique(3, () => value(depth - 1)).join(',')}}` : '{}'),
  ])();
const constant = (depth) => value(depth).replaceAll('$v', '1');
const args = (make) => {
  const list = unique(2, make);
  return list.length ? `(${list.join(',')})` : '';
};
const directives = () => some(1, () => `@${name()}${args(() => value(1))}`).join(' ');
const FRAGMENTS = ['F', 'G', 'H'];
const set = (depth, from) =>
  `{${[0, ...some(2, () => 0)].map(() => selection(depth, from)).join(one([' ', ',', '\n', ' #c\n']))}}`;
const selection = (depth, from) => {
  const deep = depth > 0 && random(2) ? set(depth - 1, from) : '';
  const rest = FRAGMENTS.slice(from);
  switch (random(6)) {
    case 0: return rest.length ? `...${one(rest)}${directives()}` : 'z';
    case 1: return `...${one(['', 'on T'])}${directives()}${set(Math.max(depth - 1, 0), from)}`;
    default: return `${one(['', '', `${name()}:`])}${name()}${args(() => value(2))}${directives()}${deep}`;
  }
};
const operation = (label) => {
  const kind = one(['query', 'mutation', 'subscription']);
  const variables = some(1, () => `($v:${one(['T', '[T!]!', '[[T]]'])}${one(['', `=${constant(1)}`])})`).join('');
  return `${kind} ${label}${variables}${directives().replaceAll('$v', '1')}${set(2, 0)}`;
};
const document = () => {
  const count = random(8) ? 1 : 2;
  let text = count === 1 && random(2) ? set(2, 0) : Array.from({ length: count }, (_, i) => operation(`Op${i}`)).join('\n');
  FRAGMENTS.forEach((each, at) => {
    if (text.includes(`...${each}`)) text += ` fragment ${each} on T${directives().replaceAll('$v', '1')}${set(1, at + 1)}`;
  });
  return text;
};
const PIECES = ['{', '}', '(', ')', ':', '...', '@', '"', '"""', '#', ',', '\n', '\r', '$', '!', '=', '[', ']', '\\', '0', '1.', 'on', '|', '&', '\u2028', '\ufeff', '\0', 'é', '😀', 'fragment', '-', '\\u{41}', '\\uD83D'];
const mutate = (text) => {
  const at = random(text.length + 1);
  const end = random(3) ? at : Math.min(text.length, at + random(4));
  return text.slice(0, at) + (random(4) ? one(PIECES) : '') + text.slice(end);
};

const measure = (parsed) => {
  const fragments = new Map();
  for (const each of parsed.definitions) if (each.kind === Kind.FRAGMENT_DEFINITION) fragments.set(each.name.value, each);
  let left = 20000;
  const count = (selections, depth, totals, path) => {
    for (const each of selections) {
      if (--left < 0) throw new Error('large');
      totals.directives += each.directives.length;
      if (each.kind === Kind.FIELD) {
        totals.depth = Math.max(totals.depth, depth);
        totals.fields += 1;
        totals.aliases += each.alias ? 1 : 0;
        if (depth === 1) totals.roots.push(each.name.value);
        if (each.selectionSet) count(each.selectionSet.selections, depth + 1, totals, path);
      } else if (each.kind === Kind.INLINE_FRAGMENT) {
        count(each.selectionSet.selections, depth, totals, path);
      } else {
        const found = fragments.get(each.name.value);
        if (!found || path.includes(found)) throw new Error('fragment');
        totals.directives += found.directives.length;
        count(found.selectionSet.selections, depth, totals, [...path, found]);
      }
    }
  };
  return parsed.definitions
    .filter((each) => each.kind === Kind.OPERATION_DEFINITION)
    .map((each) => {
      const totals = { operation: each.operation, depth: 0, fields: 0, aliases: 0, directives: each.directives.length, roots: [] };
      for (const variable of each.variableDefinitions ?? []) totals.directives += variable.directives.length;
      count(each.selectionSet.selections, 1, totals, []);
      totals.roots = [...new Set(totals.roots)].sort();
      return totals;
    });
};

const vectors = [];
for (let number = 0; number < 400; number++) {
  let text = document();
  for (let times = number % 3; times > 0; times--) text = mutate(text);
  if (!text.isWellFormed()) continue;
  let operations = null;
  let parses = true;
  try {
    const parsed = parse(text);
    try { operations = measure(parsed); } catch { operations = null; }
  } catch { parses = false; }
  vectors.push({ text, parses, operations });
}
console.log('[\n' + vectors.map((each) => JSON.stringify(each)).join(',\n') + '\n]');
