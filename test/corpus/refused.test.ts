import t, { type Test } from 'tap';
import { hugePng } from '../support/pictures.js';
import { LIMITS, outcomeOf, RULE } from './corpus.js';
import { OTHERS } from './others.js';
import { avifs, jpegs, type Refused, sizes, tiffs } from './refused.js';

/** Texts from error messages of the loaders, none of which may reach a client. */
const INTERNAL = /vips|libspng|libpng|heif:|source:|Vips|Input buffer|_buffer:|tiff2vips|undefined|\n/;

function isHelpful(t: Test, name: string, facts: { detail: string; expected: string; action: string }) {
  for (const text of [facts.detail, facts.expected, facts.action])
    t.ok(text.length > 3 && !INTERNAL.test(text), `${name}: says "${text}"`);
}

async function isRefused(t: Test, { name, bytes, code, detail }: Refused) {
  const outcome = await outcomeOf(bytes);
  if (!('error' in outcome)) {
    t.fail(`${name}: was decoded`);
    return undefined;
  }
  t.equal(outcome.error.code, code, `${name}: ${outcome.error.facts.detail}`);
  t.match(outcome.error.facts.detail, detail, name);
  isHelpful(t, name, outcome.error.facts);
  return outcome;
}

t.test('a body that is no supported picture is named, with what to do', async (t) => {
  for (const [name, [bytes, detail, action]] of Object.entries(OTHERS)) {
    const outcome = await isRefused(t, { name, bytes, code: 'unsupported-media', detail });
    if (action && outcome) t.match(outcome.error.facts.action, action, name);
    if (outcome) t.equal(outcome.header, undefined, `${name}: before it is decoded`);
  }
});

for (const [group, make] of Object.entries({ tiffs, jpegs, avifs, sizes })) {
  t.test(`${group} that are valid but not supported, or too expensive, are refused as such`, async (t) => {
    for (const refused of await make()) await isRefused(t, refused);
  });
}

t.test('extreme aspect ratios within the limit are resized to the input size only', async (t) => {
  for (const [width, height] of [
    [LIMITS.maxPixels, 1],
    [1, LIMITS.maxPixels],
    [65_535, 1],
    [1, 65_535],
    [125_000, 31],
    [33, 100_000],
    [1, 1],
    [2, 1],
    [31, 33],
  ] as const) {
    const outcome = await outcomeOf(hugePng(width, height));
    t.equal('pixels' in outcome && outcome.pixels.length, RULE.crop ** 2 * 3, `${width} x ${height}`);
  }
});
