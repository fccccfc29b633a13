/** What shadow runs say: how often full names the same label as the cheap answer. */
import type { Catalog } from './family/served.js';
import { getOrInsert } from './get-or-insert.js';
import { Shadow } from './scheduler/shadow.js';
import type { Metrics } from './telemetry/metrics.js';

export function createShadow(share: number, catalog: Catalog, metrics: Metrics): Shadow {
  const counts = new Map<string, { agreed: number; all: number }>();
  return new Shadow({
    share,
    fullOf: (family) => catalog.family(family).full,
    compared: ({ key, family, id }, agreed) => {
      const labels = { model: family, instance: id };
      const count = getOrInsert(counts, key, () => ({ agreed: 0, all: 0 }));
      count.all += 1;
      if (agreed) count.agreed += 1;
      metrics.shadows.inc({ ...labels, agreed: String(agreed) });
      metrics.agreement.set(labels, count.agreed / count.all);
    },
  });
}
