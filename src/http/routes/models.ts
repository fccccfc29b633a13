import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';
import type { ServedFamily } from '../../family/served.js';
import { BATCH_SIZES } from '../../policy/picture.js';
import type { instanceInfo, model } from '../schemas.js';
import type { Service, State } from '../state.js';

export function modelRoutes(app: FastifyInstance, state: State): void {
  app.get('/models', () => ({ models: state.service.catalog.families.map((f) => describe(f, state.service)) }));
  app.get<{ Params: { name: string } }>('/models/:name', ({ params }) =>
    describe(state.service.catalog.family(params.name), state.service),
  );
}

function describe(served: ServedFamily, { catalog, table, runtime }: Service): z.infer<typeof model> {
  const { family } = served;
  const { name, version, description, architecture, height, width, measuredOn, license, source, labels } = family;
  const instances = [...family.instances]
    .sort((a, b) => a.flops - b.flops)
    .map((i): z.infer<typeof instanceInfo> => {
      const { id, p, r, precision, flops, macs, share, top1, interval, accuracy, top5, correct, n } = i;
      const latencyMs = Object.fromEntries(
        BATCH_SIZES.map((size) => [size, Number(table.predict(i.key, size).toFixed(3))]),
      );
      return {
        id,
        p,
        r,
        precision,
        flops,
        macs,
        share,
        top1,
        interval: [...interval],
        accuracy,
        top5,
        correct,
        n,
        served: served.serves(i),
        frontier: served.onFrontier(i),
        latencyMs,
      };
    });
  return {
    name,
    version,
    description,
    architecture,
    default: catalog.default === name,
    input: { height, width },
    device: runtime.device,
    measuredOn,
    license,
    source,
    labels: [...labels],
    instances,
  };
}
