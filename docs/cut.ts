/**
 * Answers as the docs show them: JSON, in which `// …` on a line of its own stands for members or elements that are left
 * out. In memory such a place is a string that begins with `…`, in an object the key of a member.
 */
const CUT = '…';
const CUT_LINE = /^\s*\/\/ …$/;
/** Columns, as biome.json has it: the formatter sees to the blocks of docs/ as well, and both should agree. */
const WIDTH = 120;

export type Json = null | boolean | number | string | readonly Json[] | Fields;
interface Fields {
  readonly [key: string]: Json;
}

const isCut = (value: Json) => typeof value === 'string' && value.startsWith(CUT);
const isList = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);
const isFields = (value: Json | undefined): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const cutIn = (value: readonly Json[] | Fields) => (isList(value) ? value : Object.keys(value)).some(isCut);

/** Raises SyntaxError for what is no such answer. */
export function parseCut(text: string): Json {
  const lines = text.split('\n');
  const open: string[] = [];
  const whole = lines.map((line, n) => {
    if (CUT_LINE.test(line)) return standIn(n, open.at(-1), lines[n - 1] ?? '', lines[n + 1] ?? '');
    for (const [bracket] of line.replace(/"(?:[^"\\]|\\.)*"/g, '').matchAll(/[[\]{}]/g)) {
      if ('[{'.includes(bracket)) open.push(bracket);
      else open.pop();
    }
    return line;
  });
  return JSON.parse(whole.join('\n')) as Json;
}

/** A member or an element in the place of `// …`, with the commas that it needs there. */
function standIn(n: number, within: string | undefined, lineBefore: string, lineAfter: string): string {
  const before = /[[{,]\s*$/.test(lineBefore) ? '' : ',';
  const after = /^\s*[\]}]/.test(lineAfter) ? '' : ',';
  return `${before}${within === '[' ? `"${CUT}"` : `"${CUT}${n}": 0`}${after}`;
}

/** What is compared, and how. */
export interface Comparison {
  /** Keys of what differs from run to run: below them only the shape is compared. */
  readonly changing: ReadonlySet<string>;
  /** Only the shape is compared everywhere. */
  readonly shapeOnly?: boolean;
}

/**
 * How an answer differs from what is shown of it; empty if it does not. Members that are left out without saying so are a
 * difference, and so is a `// …` that stands for nothing.
 */
export function differences(shown: Json, real: Json | undefined, how: Comparison, path = 'answer'): string[] {
  if (isList(shown)) return isList(real) ? differencesOfLists(shown, real, how, path) : [`${path} is no list`];
  if (isFields(shown)) return isFields(real) ? differencesOfFields(shown, real, how, path) : [`${path} is no object`];
  const same = how.shapeOnly ? typeof shown === typeof real : shown === real;
  return same ? [] : [`${path}: shown ${JSON.stringify(shown)}, it is ${JSON.stringify(real)}`];
}

function differencesOfLists(shown: readonly Json[], real: readonly Json[], how: Comparison, path: string): string[] {
  const kept = shown.filter((item) => !isCut(item));
  const enough = cutIn(shown) ? real.length > kept.length : real.length === kept.length;
  if (!enough) return [`${path} has ${real.length} elements, shown are ${kept.length}`];
  return kept.flatMap((item, n) => differences(item, real[n], how, `${path}[${n}]`));
}

function differencesOfFields(shown: Fields, real: Fields, how: Comparison, path: string): string[] {
  const kept = Object.entries(shown).filter(([key]) => !isCut(key));
  const wrong = kept.flatMap(([key, value]) => {
    if (!(key in real)) return [`${path}.${key} is not there`];
    const inside = how.changing.has(key) ? { ...how, shapeOnly: true } : how;
    return differences(value, real[key], inside, `${path}.${key}`);
  });
  const hidden = Object.keys(real).filter((key) => !(key in shown));
  if (hidden.length > 0 && !cutIn(shown)) wrong.push(`${path} has ${hidden.join(', ')} as well`);
  if (hidden.length === 0 && cutIn(shown)) wrong.push(`${path} has nothing that is left out`);
  return wrong;
}

/** The same cuts in another answer. */
export function cutAs(shown: Json | undefined, real: Json): Json {
  if (isList(real)) {
    if (!isList(shown) || !cutIn(shown))
      return real.map((item, n) => cutAs(isList(shown) ? shown[n] : undefined, item));
    return shown.map((item, n) => (isCut(item) ? item : cutAs(item, real[n] ?? null)));
  }
  if (isFields(real)) {
    const template = isFields(shown) ? shown : {};
    if (!cutIn(template))
      return Object.fromEntries(Object.entries(real).map(([key, value]) => [key, cutAs(template[key], value)]));
    const kept = Object.entries(template).filter(([key]) => isCut(key) || key in real);
    return Object.fromEntries(kept.map(([key, value]) => [key, isCut(key) ? value : cutAs(value, real[key] ?? null)]));
  }
  return real;
}

/** As text, with what fits on one line on one line. */
export function print(value: Json, indent = '', column = indent.length): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const line = onOneLine(value);
  if (line !== undefined && column + line.length < WIDTH) return line; // a comma may follow
  const deeper = `${indent}  `;
  const items = isList(value)
    ? value.map((item) => ({ name: '', item, cut: isCut(item) }))
    : Object.entries(value).map(([key, item]) => ({ name: `${JSON.stringify(key)}: `, item, cut: isCut(key) }));
  const lines = items.map(({ name, item, cut }, n) => {
    if (cut) return `${deeper}// ${CUT}`;
    const comma = items.slice(n + 1).some((later) => !later.cut) ? ',' : '';
    return `${deeper}${name}${print(item, deeper, deeper.length + name.length)}${comma}`;
  });
  const [first, last] = isList(value) ? ['[', ']'] : ['{', '}'];
  return [first, ...lines, `${indent}${last}`].join('\n');
}

/** undefined where something is left out: that takes a line of its own. */
function onOneLine(value: Json): string | undefined {
  if (typeof value !== 'object' || value === null) return isCut(value) ? undefined : JSON.stringify(value);
  if (cutIn(value)) return undefined;
  const items = isList(value)
    ? value.map(onOneLine)
    : Object.entries(value).map(([key, item]) => {
        const text = onOneLine(item);
        return text === undefined ? undefined : `${JSON.stringify(key)}: ${text}`;
      });
  if (items.includes(undefined)) return undefined;
  if (items.length === 0) return isList(value) ? '[]' : '{}';
  return isList(value) ? `[${items.join(', ')}]` : `{ ${items.join(', ')} }`;
}
