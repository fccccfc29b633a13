/** What the latency measured here holds for. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Config } from './config.js';
import type { Family } from './family/instance.js';
import { hasJemalloc } from './runtime/pool.js';
import type { Runtime } from './runtime/runtime.js';
import type { Layout } from './scheduler/measure.js';

export function layoutOf(config: Config, runtime: Runtime, families: readonly Family[]): Layout {
  return {
    device: runtime.device,
    engineThreads: runtime.threads,
    onnxThreads: config.ONNX_THREADS,
    onnxruntime: onnxruntimeVersion(),
    allocator: hasJemalloc() ? 'jemalloc' : 'other',
    families: families.map((f) => `${f.name}@${f.version}`),
  };
}

function onnxruntimeVersion(): string {
  // Read from the package and not imported: the library itself is loaded in engine threads only.
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return (JSON.parse(readFileSync(entry, 'utf8')) as { version: string }).version;
}
