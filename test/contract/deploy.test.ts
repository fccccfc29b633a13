/** What orchestrators are told in deploy/ fits to what the service does. */
import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { parseAllDocuments } from 'yaml';
import { readConfig } from '../../src/config.js';
import { CUT_AFTER_MS, refuseAfterMs } from '../../src/draining.js';
import { KILL_AFTER_MS } from '../../src/ending.js';

const FOLDER = new URL('../../deploy/', import.meta.url);
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));

interface Found {
  readonly file: string;
  readonly key: string;
  readonly value: unknown;
  readonly beside: Readonly<Record<string, unknown>>;
}

interface Probe {
  readonly httpGet: { readonly path: string };
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}

/** Every key in the files, however deep. */
function entries(file: string, node: unknown): Found[] {
  if (node === null || typeof node !== 'object') return [];
  const own = Array.isArray(node)
    ? []
    : Object.entries(node).map(([key, value]) => ({ file, key, value, beside: node as Found['beside'] }));
  return [...own, ...Object.values(node).flatMap((value) => entries(file, value))];
}

const ALL = FILES.flatMap((file) =>
  parseAllDocuments(readFileSync(new URL(file, FOLDER), 'utf8')).flatMap((document) => {
    t.same(document.errors, [], file);
    return entries(file, document.toJS());
  }),
);
const of = (...keys: string[]) => ALL.filter(({ key }) => keys.includes(key));

/** Settings in a file: a map for compose, a list of names and values for Kubernetes. */
function settingsOf(file: string): Record<string, string> {
  const here = ALL.filter((entry) => entry.file === file);
  const maps = here.filter(({ key }) => key === 'environment').map(({ value }) => value as Record<string, string>);
  const lists = here
    .filter(({ key }) => key === 'env')
    .flatMap(({ value }) => (value as { name: string; value?: string }[]).map((one) => [one.name, one.value ?? '']));
  return { ...Object.assign({}, ...maps), ...Object.fromEntries(lists) };
}

t.test('the service ends by itself before it is killed', (t) => {
  const graces = of('stop_grace_period', 'terminationGracePeriodSeconds');
  t.ok(graces.some(({ key }) => key === 'stop_grace_period'));
  t.ok(graces.some(({ key }) => key === 'terminationGracePeriodSeconds'));
  for (const { file, value } of graces) {
    const graceMs = 1000 * Number.parseInt(String(value), 10);
    const { DRAIN_DELAY_MS, DRAIN_TIMEOUT_MS } = readConfig(settingsOf(file));
    t.ok(DRAIN_DELAY_MS < DRAIN_TIMEOUT_MS, file);
    t.ok(refuseAfterMs(DRAIN_TIMEOUT_MS) + CUT_AFTER_MS < DRAIN_TIMEOUT_MS, 'also with clients that do not read');
    t.ok(DRAIN_TIMEOUT_MS + KILL_AFTER_MS < graceMs, `${file}: ${DRAIN_TIMEOUT_MS} + ${KILL_AFTER_MS} < ${graceMs}`);
  }
  t.end();
});

t.test('balancers notice while requests are still served', (t) => {
  const probes = of('readinessProbe').map(({ file, value }) => ({ file, probe: value as Probe }));
  t.ok(probes.length > 0);
  for (const { file, probe } of probes) {
    t.equal(probe.httpGet.path, '/readyz', file);
    const noticedMs = 1000 * probe.periodSeconds * probe.failureThreshold;
    t.ok(noticedMs < readConfig(settingsOf(file)).DRAIN_DELAY_MS, file);
  }
  t.equal(of('preStop').length, 0, 'the service delays its end by itself');
  t.end();
});

t.test('every setting is one', (t) => {
  for (const file of FILES) t.doesNotThrow(() => readConfig(settingsOf(file)), file);
  t.ok(FILES.some((file) => Object.keys(settingsOf(file)).length > 0));
  t.end();
});
