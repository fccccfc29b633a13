/** GET /live: the stream of live figures for the page. */
import { BlockList, isIP } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Config } from '../../config.js';
import { EVERY_MS } from '../live.js';
import type { State } from '../state.js';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');
loopback.addSubnet('::ffff:127.0.0.0', 104, 'ipv6');

/** Headers that proxies add. With one of them, the address of the connection is the proxy's and not the client's. */
const FORWARDED = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip'];

/**
 * Whether the page offers this client to send a burst: with LOAD_BUTTON=auto, only to clients on this machine. It is no
 * protection: anybody may send requests to /classify within its limits. ip: the client's address, which a proxy of
 * TRUST_PROXY has written into X-Forwarded-For.
 */
export function offersLoad(
  { LOAD_BUTTON, TRUST_PROXY }: Pick<Config, 'LOAD_BUTTON' | 'TRUST_PROXY'>,
  { ip, headers }: Pick<FastifyRequest, 'ip' | 'headers'>,
): boolean {
  if (LOAD_BUTTON === 'on') return true;
  const here = isIP(ip) !== 0 && loopback.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4');
  const known = TRUST_PROXY !== '' && headers['x-forwarded-for'] !== undefined;
  return here && (known || FORWARDED.every((name) => headers[name] === undefined));
}

export function liveRoute(app: FastifyInstance, state: State): void {
  const { watchers, config } = state;
  app.get('/live', (request, reply) => {
    const { runtime } = state.service; // raises not-ready or draining
    reply.type('text/event-stream').header('Cache-Control', 'no-store');
    reply.header('X-Accel-Buffering', 'no'); // else nginx would hold events back until it has some kB
    if (request.method === 'HEAD') return reply.send();
    const offer = offersLoad(config, request);
    const stream = watchers.join({ everyMs: EVERY_MS, loadButton: offer, engineThreads: runtime.threads });
    reply.raw.once('close', () => watchers.leave(stream));
    return reply.send(stream);
  });
  // Draining has closed the streams; this closes those opened since then, because the server waits for all answers.
  app.addHook('preClose', async () => watchers.close());
}
