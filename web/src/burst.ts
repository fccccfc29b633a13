/** A burst against this server: calm, far too much, calm again. Bounded in time and in pictures. */
import { type Answer, classify, type Model, Refusal } from './api.ts';
import { chosenFrom, fullOf, runMs } from './budget.ts';

/** Seconds of calm, of the burst, and of calm again: long enough to see both edges. */
export const PHASES = [
  { seconds: 2, load: 0.3 },
  { seconds: 5, load: 1 },
  { seconds: 3, load: 0.3 },
] as const;
export const BURST_S = PHASES.reduce((sum, { seconds }) => sum + seconds, 0);
/** Answers are put together by so much time. */
export const BIN_S = 0.5;
/** All together: what a button may ask of a server, whatever the dial says. */
export const MOST_PICTURES = 4000;
/** A browser has six connections to a server, one of which watches. So pictures go several at a time, up to a batch. */
const MOST_AT_ONCE = 8;
const REQUESTS_PER_S = 25;
/** Requests that have no answer yet. What comes beyond is lost, as with any client that has a limit. */
const MOST_OPEN = 60;

export interface Plan {
  readonly model: Model;
  readonly engineThreads: number;
  /** Pictures in the burst, as a multiple of what the full network can do. */
  readonly load: number;
  readonly promiseMs: number;
}

/** About what the full network can do on this host, in pictures a second. */
export const capacityOf = (model: Model, engineThreads: number): number =>
  (1000 * Math.max(1, engineThreads)) / runMs(fullOf(model));

/** A promise that the full network keeps in calm: time for its share of a full batch, twice. */
export function usualPromiseMs(model: Model, engineThreads: number): number {
  const batch = (MOST_AT_ONCE / Math.max(1, engineThreads)) * runMs(fullOf(model));
  return Math.max(20, Math.ceil((2 * batch) / 10) * 10);
}

export interface Bin {
  readonly latencies: number[];
  asked: number;
  inTime: number;
  answered: number;
  accuracy: number;
  cost: number;
}

export interface Outcome {
  readonly bins: readonly Bin[];
  /** Why it ended early. */
  readonly refusal?: Refusal;
}

const emptyBin = (): Bin => ({ latencies: [], asked: 0, inTime: 0, answered: 0, accuracy: 0, cost: 0 });

/** When each request goes, in s, and how many pictures it has. Pure. */
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

/** Codes that concern every request alike: going on would only add to them. */
const HOPELESS = new Set([401, 413, 429]);

/** instance: pins one; without it the service chooses. tell: called as answers come. */
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

/** Time is the client's own: what its browser let it wait counts as well. */
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

export interface Sums {
  readonly asked: number;
  readonly inTime: number;
  readonly accuracy: number | null;
  readonly cost: number | null;
  /** In time and right, of all that were asked: accuracy counts only where the promise was kept. */
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

/** The slowest but one in twenty of each bin, in ms. */
export function slowOf({ bins }: Outcome): (number | null)[] {
  return bins.map(({ latencies }) => {
    const sorted = [...latencies].sort((a, b) => a - b);
    return sorted[Math.ceil(0.95 * sorted.length) - 1] ?? null;
  });
}

/** What a burst sends: samples at about the size that the family looks at, or decoding would be most of the work. */
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

export const cheapestOf = (model: Model) => chosenFrom(model)[0];
