import { MAX_BATCH } from '../../src/plan/snapshot.js';
import { serve, servedFrom } from './service.js';
import { cheapestOf, deadlineOf, dearestOf, medianOf, readTable } from './table.js';
import { makeTraces } from './traces.js';

const [fam = 'cifar10', filter = '', nseeds = '3', secs = '20', modes = 'strict'] = process.argv.slice(2);
const table = readTable(new URL(`./tables/${fam}.json`, import.meta.url).pathname);
const instances = servedFrom(table);
const [full, cheapest] = [dearestOf(instances), cheapestOf(instances, medianOf(table))];
const besides = { client: 0.2, http: 0.5, decode: fam === 'cifar10' ? 0.8 : 4 };
const host = { table, instances, cpus: 2, besides };
const cap = 2 / (besides.client + besides.http + besides.decode + medianOf(table)(cheapest, MAX_BATCH) / MAX_BATCH);
const deadlineMs = deadlineOf(medianOf(table)(full, 1), cap);
console.log(fam, 'load1', (1000 * cap).toFixed(0), 'deadline', deadlineMs.toFixed(1));
const extra = [1.2, 1.5, 3];
const seeds = Array.from({ length: +nseeds }, (_, n) => n + 1);
const acc = new Map<string, number[][]>();
for (const seed of seeds) {
  const traces = [
    ...makeTraces({ capacityPerMs: cap, durationMs: 1000 * +secs, seed }).filter((t) => t.killThreadAtMs === undefined),
  ];
  for (const l of extra) {
    const r = makeTraces({ capacityPerMs: (cap * l) / 0.8, durationMs: 1000 * +secs, seed }).find(
      (t) => t.name === 'poisson 0.8',
    );
    if (r) traces.push({ ...r, name: `over ${l}` });
  }
  for (const t of traces) {
    if (!t.name.includes(filter)) continue;
    for (const mode of modes.split(',')) {
      const t0 = performance.now();
      const a = await serve(host, {
        arrivalsMs: t.arrivalsMs,
        latencyMs: deadlineMs,
        strict: mode === 'strict',
        seed,
        instance: mode === 'pin' ? cheapest.id : undefined,
      });
      const n = a.length,
        ok = a.filter((x) => x.inTime);
      const U = ok.reduce((s, x) => s + (x.instance?.accuracy ?? 0), 0) / n;
      const exp = a.filter((x) => x.code === 'deadline-exceeded').length / n;
      const late = a.filter((x) => x.instance && !x.inTime).length / n;
      const k = `${t.name} ${mode}`;
      if (!acc.has(k)) acc.set(k, []);
      acc
        .get(k)
        ?.push([
          100 * U,
          (100 * ok.length) / n,
          100 * exp,
          100 * late,
          ok.length / (+secs * 1000) / cap,
          ok.length ? (100 * U * n) / ok.length : 0,
        ]);
    }
  }
}
for (const [k, v] of acc)
  console.log(
    k.padEnd(28),
    'U inTime expired late goodput/cap acc:',
    v[0]!.map((_, i) => (v.reduce((s, x) => s + x[i]!, 0) / v.length).toFixed(2)).join('  '),
  );
