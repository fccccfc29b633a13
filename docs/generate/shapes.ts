/** What each bench writes, as far as the pages show it. */
import type { Run as LoadRun } from '../../bench/load/verdict.js';
import type { Finding as OverloadFinding } from '../../bench/overload/verdict.js';
import type { Finding as StrictFinding } from '../../bench/strict/verdict.js';
import type { Figures } from '../../bench/virtual/summary.js';
import type { Circumstances } from './results.js';

export interface Spread {
  readonly mean: number;
  readonly sd: number;
}
interface Median extends Spread {
  readonly median: number;
}

/** bench:load */
export interface Loaded {
  readonly model: string;
  readonly capacityPerS: number;
  readonly closedPerS: number;
  /** By trace: what capacityPerS was before it. Results of before that was measured have none. */
  readonly capacities?: Readonly<Record<string, number>>;
  readonly deadlineMs: number;
  readonly cheapestRuns: number;
  readonly seconds: number;
  /** Accuracy of each instance on one half of the test pictures. */
  readonly profile: { readonly full: number };
  readonly runs: readonly LoadRun[];
}

/** bench:virtual */
export interface Virtual {
  readonly family: { readonly name: string };
  readonly measuredOn: Circumstances;
  readonly setting: {
    readonly cpus: number;
    readonly besidesMs: { readonly client: number; readonly http: number; readonly decode: number };
    readonly capacityPerMs: number;
    readonly deadlineMs: number;
    readonly durationMs: number;
    readonly seeds: readonly number[];
    readonly strict: boolean;
  };
  readonly contenders: readonly { readonly name: string; readonly note: string }[];
  readonly results: readonly {
    readonly trace: string;
    readonly rows: readonly { readonly name: string; readonly figures: Readonly<Record<keyof Figures, Spread>> }[];
  }[];
}

/** bench:overload */
export interface Overload {
  readonly latencyMs: number;
  readonly seconds: number;
  readonly services: readonly {
    readonly name: string;
    readonly commit: string;
    readonly capacityPerS: { readonly median: number; readonly least: number; readonly most: number };
  }[];
  readonly findings: readonly OverloadFinding[];
}

/** bench:strict */
export interface Strict {
  readonly seconds: number;
  readonly latencyMs: number;
  readonly cheapest: string;
  readonly findings: readonly StrictFinding[];
}

/** bench:closed */
export interface Closed {
  readonly model: string;
  readonly connections: number;
  readonly seconds: number;
  readonly runs: readonly {
    readonly kind: string;
    readonly answersPerS: number;
    readonly p50Ms: number;
    readonly p99Ms: number;
    readonly p999Ms: number;
    readonly refused: number;
  }[];
}

interface Slope {
  readonly perHour: number;
  readonly error: number;
}
interface Slopes {
  readonly pssMib: Slope;
  readonly heapMib: Slope;
}

/** bench:soak */
export interface Soak {
  readonly minutes: number;
  readonly load: number;
  readonly deadlineMs: number;
  readonly accounts: {
    readonly sent: number;
    readonly left: Readonly<Record<string, number>>;
    readonly countedForLeft: number;
    readonly lines: readonly { status: string; reason: string; clients: number; service: number }[];
    readonly wrong: readonly string[];
  };
  readonly memoryPerHour: Slopes;
}

/** bench:soak-mixed */
export interface MixedSoak {
  readonly minutes: number;
  readonly requestsPerS: number;
  readonly read: Readonly<Record<string, number>>;
  readonly wrongs: number;
  readonly memoryPerHour: Slopes;
}

/** bench:chaos */
export interface Chaos {
  readonly families: readonly string[];
  readonly minutes: number;
  readonly arrivals: number;
  readonly read: Readonly<Record<string, number>>;
  readonly findings: readonly { readonly what: string; readonly holds: boolean; readonly detail: string }[];
}

/** bench:rolling */
export interface Rolling {
  readonly replicas: number;
  readonly clients: number;
  readonly ratePerS: number;
  readonly requests: number;
  readonly failed: number;
  readonly restartsUnderLoad: number;
  readonly drainDelayMs: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number };
  readonly haproxy: { readonly version: string; readonly checkMs: number; readonly fall: number };
  readonly restarts: readonly {
    readonly replica: string;
    readonly atMs: number;
    readonly endedMs: number;
    readonly exitCode: number | null;
    readonly backMs: number;
  }[];
}

/** bench:reload */
export interface Reload {
  readonly replaced: string;
  readonly other: string;
  readonly allocator: string;
  readonly connections: number;
  readonly requests: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number };
  readonly findings: readonly {
    readonly demand: string;
    readonly found: number;
    readonly limit: number;
    readonly holds: boolean;
  }[];
  /** MiB that stay of each replacement: a line through those after the first `after`, and its standard error. */
  readonly mibOfEach: { readonly slope: number; readonly error: number; readonly after: number };
  readonly replacements: readonly { readonly ms: number; readonly pssMib: number }[];
}

/** bench:accuracy */
export interface Accuracy {
  readonly model: string;
  readonly instance: string | null;
  readonly budget: string;
  readonly pictures: number;
  readonly rows: readonly {
    readonly instance: string;
    readonly n: number;
    readonly correct: number;
    readonly top1: number;
    readonly manifest: { readonly correct: number };
    readonly comparable: boolean;
  }[];
  readonly differences: readonly { readonly nearTie: boolean; readonly margin: number | null }[] | null;
}

/** bench:memory */
export interface Memory {
  readonly findings: readonly { allocator: string; what: string; ratio: number; limit: number }[];
  readonly rows: readonly {
    readonly name: string;
    readonly allocator: string;
    readonly weights: string;
    readonly threads: number;
    readonly instances: number;
    readonly restedMib: number;
    readonly busyMib: number;
    readonly readyMs: number;
    readonly runs: readonly { readonly busyMib: number; readonly restedMib: number }[];
  }[];
}

/** bench:sessions */
export interface Sessions {
  readonly limits: { readonly median: number; readonly p95: number };
  readonly summaries: readonly {
    readonly weights: string;
    readonly size: number;
    readonly n: number;
    readonly median: number;
    readonly p95: number;
    readonly largest: number;
  }[];
  readonly largestDifference: number;
}

/** bench:ready */
export interface Ready {
  readonly latencyMs: number;
  readonly rate: number;
  readonly rows: readonly {
    readonly name: string;
    readonly cache: string;
    readonly n: number;
    readonly readyMs: Median;
    readonly inTime: Median;
    readonly pssMib: Median;
  }[];
}

/** bench:overhead */
export interface Overhead {
  readonly limit: number;
  readonly comparisons: readonly {
    readonly name: string;
    readonly ratio: Spread;
    readonly rounds: readonly unknown[];
  }[];
}

/** bench:tracing */
export interface Tracing {
  readonly limit: number;
  readonly connections: number;
  readonly comparisons: readonly {
    readonly instance: string;
    readonly ratio: Spread;
    readonly rounds: readonly {
      readonly off: { readonly answersPerS: number; readonly cpuMs: number };
      readonly on: {
        readonly answersPerS: number;
        readonly cpuMs: number;
        readonly spans: number;
        readonly lost: number;
      };
    }[];
  }[];
}

/** bench:decision */
export interface Decision {
  readonly limitMs: number;
  readonly waiting: number;
  readonly rounds: readonly {
    readonly n: number;
    readonly nextP50Ms: number;
    readonly nextP99Ms: number;
    readonly nextMaxMs: number;
    readonly foreseeP50Ms: number;
    readonly foreseeP99Ms: number;
    readonly foreseeMaxMs: number;
  }[];
}

/** bench:health */
export interface Health {
  readonly limitMs: number;
  readonly rounds: readonly {
    readonly load: string;
    readonly n: number;
    readonly p50Ms: number;
    readonly p99Ms: number;
    readonly maxMs: number;
    readonly picturesPerSecond?: number;
  }[];
}

/** bench:decode */
export interface Decoded {
  readonly rule: { readonly size: number; readonly crop: number; readonly kernel: string };
  readonly quality: number;
  /** Of the smaller picture. */
  readonly limitMs: number;
  readonly rows: readonly {
    readonly width: number;
    readonly height: number;
    readonly bytes: number;
    readonly n: number;
    readonly medianMs: number;
    readonly p90Ms: number;
  }[];
}

/** training/bench/preprocessing.py */
export interface Preprocessing {
  readonly n: number;
  readonly shorterSide: number;
  readonly quality: number;
  readonly correct: Readonly<Record<'pytorch' | 'shrinkOnLoad' | 'whole', number>>;
  readonly ways: Readonly<
    Record<
      'shrinkOnLoad' | 'whole',
      { readonly differ: number; readonly logProbability: Record<'mean' | 'medianOfLargest' | 'largest', number> }
    >
  >;
}

/** bench:starts */
export interface Starts {
  readonly tolerance: number;
  readonly same: boolean;
  readonly swapped: readonly unknown[];
  readonly starts: readonly {
    readonly cache: string;
    readonly readyMs: number;
    readonly instances: readonly { readonly served: boolean }[];
  }[];
}

/** bench:sweep */
export interface Sweep {
  readonly setting: { readonly durationMs: number; readonly seeds: readonly number[] };
  /** Family -> variant -> trace -> U of each seed. */
  readonly results: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>>>;
}

interface MutationCounts {
  readonly killed: number;
  readonly timeout: number;
  readonly survived: number;
  readonly noCoverage: number;
  readonly equivalent: number;
  /** In percent. */
  readonly score: number;
}

/** npm run mutation */
export interface Mutation {
  readonly leastScore: number;
  readonly all: MutationCounts;
  readonly files: Readonly<Record<string, MutationCounts>>;
}
