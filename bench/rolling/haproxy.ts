/** HAProxy in front of replicas: its configuration, its process, and what it says of them. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Replica {
  readonly name: string;
  readonly port: number;
}

export interface Balancer {
  /** Port of the service as clients see it; on the next one are figures. */
  readonly port: number;
  readonly replicas: readonly Replica[];
  /** Time between two checks of a replica, in ms. */
  readonly checkMs: number;
  /** A replica gets no more requests when so many checks in a row have failed. */
  readonly fall: number;
}

/** How long a request to HAProxy itself may take. */
const ASK_MS = 2000;
const START_MS = 10_000;

/**
 * `retries 0`, so that nothing is hidden: by default HAProxy sends a request again whose connection was refused. Readiness
 * is checked as docs/api.md tells operators to do.
 */
export function configurationOf({ port, replicas, checkMs, fall }: Balancer): string {
  const servers = replicas.map(({ name, port }) => `  server ${name} 127.0.0.1:${port} check`);
  return `global
  maxconn 4096

defaults
  mode http
  retries 0
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout check 3s

frontend service
  bind 127.0.0.1:${port}
  default_backend replicas

backend replicas
  balance roundrobin
  option httpchk GET /readyz
  http-check expect status 200
  default-server inter ${checkMs}ms fall ${fall} rise 1
${servers.join('\n')}

listen figures
  bind 127.0.0.1:${port + 1}
  stats enable
  stats uri /
`;
}

export interface ReplicaFigures {
  readonly up: boolean;
  /** Requests that it was given. */
  readonly sessions: number;
}

/** Reads HAProxy's statistics: for each server of the backend its state and its requests. Raises Error for other text. */
export function figuresOf(csv: string): Record<string, ReplicaFigures> {
  const [head = '', ...lines] = csv.split('\n');
  const names = head.replace(/^# /, '').split(',');
  const place = (name: string) => {
    const index = names.indexOf(name);
    if (index < 0) throw new Error(`the statistics of HAProxy have no ${name}: ${head}`);
    return index;
  };
  const [proxy, server, status, sessions] = [place('pxname'), place('svname'), place('status'), place('stot')];
  const rows = lines
    .map((line) => line.split(','))
    .filter((row) => row[proxy] === 'replicas' && row[server] !== 'BACKEND');
  return Object.fromEntries(
    rows.map((row) => [row[server], { up: (row[status] ?? '').startsWith('UP'), sessions: Number(row[sessions]) }]),
  );
}

/** Raises Error if haproxy is not installed. */
export function versionOfHaproxy(): string {
  try {
    return /version (\S+)/.exec(execFileSync('haproxy', ['-v'], { encoding: 'utf8' }))?.[1] ?? 'unknown';
  } catch {
    throw new Error('haproxy is missing: apt-get install haproxy');
  }
}

export class Haproxy {
  readonly #child: ChildProcess;
  readonly #balancer: Balancer;

  private constructor(child: ChildProcess, balancer: Balancer) {
    this.#child = child;
    this.#balancer = balancer;
  }

  /** Resolves when it answers. folder: for its configuration. Raises Error if it ends instead. */
  static async start(balancer: Balancer, folder: string): Promise<Haproxy> {
    const file = join(folder, 'haproxy.cfg');
    writeFileSync(file, configurationOf(balancer));
    // In the foreground (-db), so that it ends with its parent's signal; what it logs is of use when it does not start.
    const child = spawn('haproxy', ['-db', '-f', file], { stdio: ['ignore', 'ignore', 'inherit'] });
    const started = new Haproxy(child, balancer);
    process.once('exit', () => child.kill());
    for (const endMs = Date.now() + START_MS; ; await sleep(50)) {
      if (child.exitCode !== null || Date.now() > endMs) throw new Error('HAProxy did not start');
      if (await started.figures().catch(() => undefined)) return started;
    }
  }

  async figures(): Promise<Record<string, ReplicaFigures>> {
    const url = `http://127.0.0.1:${this.#balancer.port + 1}/;csv`;
    return figuresOf(await (await fetch(url, { signal: AbortSignal.timeout(ASK_MS) })).text());
  }

  /** Resolves when a replica is taken for ready (up), or no longer. */
  async until(name: string, up: boolean): Promise<void> {
    while ((await this.figures())[name]?.up !== up) await sleep(this.#balancer.checkMs / 4);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.kill('SIGTERM');
    await once(this.#child, 'exit');
  }
}
