/** Reads the service's metrics from /metrics. */

/** One value of a metric. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** text: Prometheus exposition format. */
export function parseMetrics(text: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) return [];
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text]);
    return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }];
  });
}

export async function readMetrics(url: string): Promise<Sample[]> {
  return parseMetrics(await (await fetch(`${url}/metrics`)).text());
}

/** Sum of all samples with this name and at least these labels. */
export function total(samples: readonly Sample[], name: string, labels: Record<string, string> = {}): number {
  const wanted = Object.entries(labels);
  return samples
    .filter((s) => s.name === name && wanted.every(([key, text]) => s.labels[key] === text))
    .reduce((sum, s) => sum + s.value, 0);
}

/** Increase of each counter between two readings of the same service. Only meaningful for counters. */
export function since(before: readonly Sample[], after: readonly Sample[]): Sample[] {
  return after.map((s) => ({ ...s, value: s.value - total(before, s.name, s.labels) }));
}
