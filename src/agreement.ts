/** Metrics of shadow runs: how often the instance `full` has the same most probable label as the cheaper instance. */
import type { Catalog } from './family/served.js';
import { getOrInsert } from './get-or-insert.js';
import { Shadow } from './scheduler/shadow.js';
import type { Metrics } from './telemetry/metrics.js';

/** share: SHADOW_SHARE, in 0..1. */
export function createShadow(share: number, catalog: Catalog, metrics: Metrics): Shadow {
  const counts = new Map<string, { agreed: number; all: number }>();
  return new Shadow({
    share,
    fullOf: (instance) => {
      const served = catalog.find(instance.family);
      return served?.family.instances.includes(instance) ? served.full : undefined;
    },
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
