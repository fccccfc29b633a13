/** GET /models and /models/{name}: families, their instances and latencies on this host. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { z } from 'zod';
import type { ServedFamily } from '../../family/served.js';
import { getOrInsert } from '../../get-or-insert.js';
import type { instanceInfo, model } from '../schemas.js';
import type { Service, State } from '../state.js';

/** How long an answer is cached: latencies change with every run, but need not be newer than this. */
const FRESH_MS = 1000;

export function modelRoutes(app: FastifyInstance, state: State): void {
  const list = cachedJson(state, (service) => ({ models: service.catalog.families.map((f) => describe(f, service)) }));
  const one = new Map<string, () => Buffer>();
  const send = (reply: FastifyReply, bytes: Buffer) => reply.type('application/json; charset=utf-8').send(bytes);
  app.get('/models', (_request, reply) => send(reply, list()));
  app.get<{ Params: { name: string } }>('/models/:name', ({ params }, reply) => {
    const { family } = state.service.catalog.family(params.name); // raises if there is none: the map stays small
    const make = () => cachedJson(state, (service) => describe(service.catalog.family(family.name), service));
    return send(reply, getOrInsert(one, family.name, make)());
  });
}

/**
 * Caches a JSON answer for FRESH_MS. All requests share its bytes, so that many unread answers take memory only once.
 */
function cachedJson(state: State, make: (service: Service) => unknown): () => Buffer {
  let last: { service: Service; bytes: Buffer; untilMs: number } | undefined;
  return () => {
    const { service } = state;
    const nowMs = state.clock.now();
    if (last?.service !== service || nowMs >= last.untilMs) {
      last = { service, bytes: Buffer.from(JSON.stringify(make(service))), untilMs: nowMs + FRESH_MS };
    }
    return last.bytes;
  };
}

function describe(served: ServedFamily, { catalog, latency, runtime }: Service): z.infer<typeof model> {
  const { family } = served;
  const { name, version, description, architecture, networks } = family;
  const { height, width, measuredOn, license, source, labels } = family;
  const instances = [...family.instances]
    .sort((a, b) => a.flops - b.flops)
    .map((i): z.infer<typeof instanceInfo> => {
      const { id, network, p, r, precision, flops, macs, share, top1, interval, accuracy, top5, correct, n } = i;
      const latencyMs = Object.fromEntries(
        runtime.batchSizes.map((size) => [size, Number(latency.run(i.key, size).highMs.toFixed(3))]),
      );
      return {
        id,
        network,
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
        resident: served.resident(i),
        frontier: served.onFrontier(i),
        latencyMs,
      };
    });
  return {
    name,
    version,
    description,
    architecture,
    networks,
    default: catalog.default === name,
    input: { height, width },
    device: runtime.device,
    weights: { shared: served.shared !== undefined, ...weightsOf(served) },
    measuredOn,
    license,
    source,
    labels: [...labels],
    instances,
  };
}

const weightsOf = ({ shared }: ServedFamily) => shared && { bytes: shared.bytes, folded: { ...shared.folded } };
