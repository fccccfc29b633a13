/** Sends a burst of requests to this service: low load, overload, low load. Limited in time and number of pictures. */
import { type Answer, classify, type Model, Refusal } from './api.ts';
import { chosenFrom, fullOf, runMs } from './budget.ts';

/** Phases of the load, long enough to see the burst begin and end. load: share of the burst's peak rate. */
export const PHASES = [
  { seconds: 2, load: 0.3 },
  { seconds: 5, load: 1 },
  { seconds: 3, load: 0.3 },
] as const;
/** Length of the whole burst in seconds. */
export const BURST_S = PHASES.reduce((sum, { seconds }) => sum + seconds, 0);
/** Answers are summed up in intervals of this length, in seconds. */
export const BIN_S = 0.5;
/** Upper bound of pictures in a burst: a button must not load a server without limit. */
export const MOST_PICTURES = 4000;
/**
 * Upper bound of pictures in a request: a full batch. A browser has six connections to a server, and /live takes one,
 * so that one request per picture would not reach high rates.
 */
const MOST_AT_ONCE = 8;
/** Requests have so many pictures that about this number of requests is sent a second. */
const REQUESTS_PER_S = 25;
/** Upper bound of requests without an answer. Further ones are not sent, and count as asked and not answered. */
const MOST_OPEN = 60;

export interface Plan {
  readonly model: Model;
  readonly engineThreads: number;
  /** Peak rate as a multiple of the capacity of the full network. */
  readonly load: number;
  /** Latency in the budget of each request, in ms. */
  readonly promiseMs: number;
}

/** Approximate capacity of the full network on this host, in pictures a second. */
export const capacityOf = (model: Model, engineThreads: number): number =>
  (1000 * Math.max(1, engineThreads)) / runMs(fullOf(model));

/**
 * A latency in ms that the full network meets at low load: twice the time of a full request, shared by the engine
 * threads.
 */
export function usualPromiseMs(model: Model, engineThreads: number): number {
  const batch = (MOST_AT_ONCE / Math.max(1, engineThreads)) * runMs(fullOf(model));
  return Math.max(20, Math.ceil((2 * batch) / 10) * 10);
}

/** Sums over the pictures that were due to be sent in one interval. */
export interface Bin {
  /** Latency of each answered request, in ms. */
  readonly latencies: number[];
  asked: number;
  inTime: number;
  answered: number;
  /** Sum over the answered pictures. */
  accuracy: number;
  /** Sum of the shares of the full cost. */
  cost: number;
}

export interface Outcome {
  readonly bins: readonly Bin[];
  /** Set if the burst ended early: why. */
  readonly refusal?: Refusal;
}

const emptyBin = (): Bin => ({ latencies: [], asked: 0, inTime: 0, answered: 0, accuracy: 0, cost: 0 });

/** The requests of a burst: when each is sent, in s from the start, and how many pictures it has. Pure. */
export function schedule({ model, engineThreads, load }: Plan): { atS: number; pictures: number }[] {
  const peak = Math.min(load * capacityOf(model, engineThreads), MOST_PICTURES / BURST_S);
  const requests: { atS: number; pictures: number }[] = [];
  let startS = 0;
  for (const phase of PHASES) {
    const rate = peak * phase.load;
    const pictures = Math.min(MOST_AT_ONCE, Math.max(1, Math.round(rate / REQUESTS_PER_S)));
    const every = pictures / rate;
    for (let s = 0; s < phase.seconds; s += every) requests.push({ atS: startS + s, pictures });
    startS += phase.seconds;
  }
  return requests;
}

/** Statuses that every further request would get, too: the burst ends. */
const HOPELESS = new Set([401, 413, 429]);

/**
 * Sends a burst. instance: id of the instance to pin; undefined to let the service choose. pictures: sent in turn.
 * tell: called after every answer with the sums so far.
 */
export async function burst(
  plan: Plan,
  instance: string | undefined,
  pictures: readonly Blob[],
  signal: AbortSignal,
  tell: (outcome: Outcome) => void,
): Promise<Outcome> {
  const { model, promiseMs } = plan;
  const question = { model: model.name, budget: `latency=${promiseMs}, strict=?0`, instance };
  const accuracies = new Map(model.instances.map((i) => [i.id, i.accuracy]));
  const bins = Array.from({ length: Math.ceil(BURST_S / BIN_S) }, emptyBin);
  const own = new AbortController();
  const stop = () => own.abort();
  signal.addEventListener('abort', stop, { once: true });
  let refusal: Refusal | undefined;
  let open = 0;
  const startMs = performance.now();

  const send = async (atS: number, count: number) => {
    const bin = bins[Math.min(bins.length - 1, Math.floor(atS / BIN_S))] as Bin;
    bin.asked += count;
    if (open >= MOST_OPEN) return;
    open += 1;
    const sentMs = performance.now();
    try {
      const answer = await classify(question, bodyOf(pictures, count), own.signal, 1);
      note(bin, answer, performance.now() - sentMs, promiseMs, accuracies);
    } catch (error) {
      if (error instanceof Refusal && HOPELESS.has(error.problem.status ?? 0)) {
        refusal = error;
        own.abort();
      }
    }
    open -= 1;
    tell({ bins });
  };

  const sent: Promise<void>[] = [];
  for (const { atS, pictures: count } of schedule(plan)) {
    const waitMs = startMs + 1000 * atS - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    if (own.signal.aborted) break;
    sent.push(send(atS, count));
  }
  await Promise.all(sent);
  signal.removeEventListener('abort', stop);
  return refusal ? { bins, refusal } : { bins };
}

let turn = 0;

function bodyOf(pictures: readonly Blob[], count: number): Blob | FormData {
  const next = () => pictures[turn++ % pictures.length] as Blob;
  if (count === 1) return next();
  const form = new FormData();
  for (let n = 0; n < count; n++) form.append('image', next(), `${n}.jpg`);
  return form;
}

/**
 * Adds an answer to its interval. tookMs: time measured in the browser, so that waiting for a connection counts, too.
 */
function note(
  bin: Bin,
  answer: Answer,
  tookMs: number,
  promiseMs: number,
  accuracies: ReadonlyMap<string, number>,
): void {
  bin.latencies.push(tookMs);
  for (const { model_instance, cost } of answer.results) {
    bin.answered += 1;
    if (tookMs <= promiseMs) bin.inTime += 1;
    bin.accuracy += accuracies.get(model_instance.id) ?? 0;
    bin.cost += cost.share;
  }
}

/** Sums over a whole burst; shares are in 0..1, and null if nothing was answered. */
export interface Sums {
  /** Pictures that were due to be sent. */
  readonly asked: number;
  /** Share of the pictures answered in time. */
  readonly inTime: number;
  /** Mean accuracy of the instances that answered. */
  readonly accuracy: number | null;
  readonly cost: number | null;
  /** Utility: accuracy times the share answered in time. */
  readonly useful: number;
}

export function sumsOf({ bins }: Outcome): Sums {
  const sum = (of: (bin: Bin) => number) => bins.reduce((all, bin) => all + of(bin), 0);
  const [asked, answered, inTime] = [sum((b) => b.asked), sum((b) => b.answered), sum((b) => b.inTime)];
  const mean = (of: (bin: Bin) => number) => (answered === 0 ? null : sum(of) / answered);
  const accuracy = mean((b) => b.accuracy);
  return {
    asked,
    inTime: asked === 0 ? 0 : inTime / asked,
    accuracy,
    cost: mean((b) => b.cost),
    useful: asked === 0 ? 0 : ((accuracy ?? 0) * inTime) / asked,
  };
}

/** 95th percentile of the latencies in each interval, in ms; null without answers. */
export function slowOf({ bins }: Outcome): (number | null)[] {
  return bins.map(({ latencies }) => {
    const sorted = [...latencies].sort((a, b) => a - b);
    return sorted[Math.ceil(0.95 * sorted.length) - 1] ?? null;
  });
}

/**
 * The pictures of a burst: samples scaled down to the family's input height, as decoding would else be most of the
 * work.
 */
export async function smallSamples(blobs: readonly Blob[], { input }: Model): Promise<Blob[]> {
  return Promise.all(
    blobs.map(async (blob) => {
      const picture = await createImageBitmap(blob);
      const canvas = document.createElement('canvas');
      canvas.height = input.height;
      canvas.width = Math.round((input.height * picture.width) / picture.height);
      canvas.getContext('2d')?.drawImage(picture, 0, 0, canvas.width, canvas.height);
      picture.close();
      return new Promise<Blob>((resolve) => canvas.toBlob((made) => resolve(made ?? blob), 'image/jpeg', 0.9));
    }),
  );
}

/** The served instance with the fewest FLOPs. */
export const cheapestOf = (model: Model) => chosenFrom(model)[0];
