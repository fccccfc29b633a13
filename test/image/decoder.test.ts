import t from 'tap';
import { Decoder, type DecoderOptions, USUAL_BYTES } from '../../src/image/decoder.js';
import { systemClock } from '../../src/scheduler/clock.js';
import { picture } from '../support/app.js';
import { FakeClock, settle } from '../support/fake-clock.js';
import { FakeProcess } from '../support/fake-process.js';
import { SVG } from '../support/pictures.js';

const RULE = { size: 16, crop: 16, kernel: 'cubic', alpha: 'white' } as const;
const stays = () => new AbortController().signal;

/** A decoder with fake processes for two CPUs, so with three processes. */
async function setUp(options: Partial<DecoderOptions> = {}) {
  const clock = new FakeClock();
  const processes: FakeProcess[] = [];
  const events: string[] = [];
  const decoder = new Decoder({
    maxPixels: 1000,
    maxBytes: 4 * USUAL_BYTES,
    timeoutMs: 10_000,
    cpus: 2,
    clock,
    onProcess: (event) => events.push(event),
    start: () => {
      const process = new FakeProcess();
      processes.push(process);
      return process;
    },
    ...options,
  });
  await decoder.start();
  await settle();
  const decode = (name: number, { long = false, signal = stays() } = {}) => {
    const outcome = decoder.decode(Uint8Array.of(name), RULE, { long, signal });
    outcome.catch(() => {}); // looked at later
    return outcome;
  };
  /** First bytes of the pictures that are being decoded. */
  const underWay = () => processes.flatMap(({ asked }) => (asked?.type === 'decode' ? [asked.bytes[0]] : []));
  const processOf = (name: number) =>
    processes.find(({ asked }) => asked?.type === 'decode' && asked.bytes[0] === name) as FakeProcess;
  return { clock, decoder, processes, events, decode, underWay, processOf };
}

t.test('in real processes pictures become pixels, and errors stay what they are', async (t) => {
  const decoder = new Decoder({ maxPixels: 10_000, maxBytes: 1, timeoutMs: 60_000, cpus: 1, clock: systemClock });
  t.teardown(() => decoder.close());
  await decoder.start();
  t.equal(decoder.alive, 2);
  await decoder.warm(RULE);
  const pictures = await Promise.all([picture('png'), picture('jpeg', 90, 90), picture('webp', 30, 20)]);
  const whole = await Promise.all(pictures.map((b) => decoder.decode(b, RULE, { long: false, signal: stays() })));
  for (const { pixels, ms } of whole) {
    t.equal(pixels.length, 16 * 16 * 3);
    t.ok(Math.abs((pixels[0] as number) - 0xc0) < 8);
    t.ok(ms > 0);
  }
  const refused = (bytes: Uint8Array) => decoder.decode(bytes, RULE, { long: false, signal: stays() });
  await t.rejects(refused(SVG), { name: 'DimmerError', code: 'unsupported-media', facts: { detail: /SVG/ } });
  await t.rejects(refused(await picture('png', 200, 200)), { code: 'image-too-large' });
  const png = await picture('png', 20, 20);
  await t.rejects(refused(png.subarray(0, png.length - 30)), { code: 'invalid-image' });
  const jpeg = await decoder.sample(40, 30);
  t.equal((await refused(jpeg)).pixels.length, 768, 'a sample is a picture');
  t.ok(decoder.cpuMs > 0);
});

t.test('a sample waits for an idle process, and decodes for it', async (t) => {
  const { decoder, decode, processes } = await setUp();
  const decodes = [1, 2, 3].map((n) => decode(n));
  const sample = decoder.sample(4, 3);
  const next = decode(4);
  processes.find((p) => p.asked)?.reply();
  await settle();
  t.equal(processes.filter((p) => p.asked).length, 3);
  for (let n = 0; n < 4; n++) {
    processes.find((p) => p.asked)?.reply();
    await settle();
  }
  t.ok(await sample);
  await Promise.all([...decodes, next]);
  for (const n of [1, 2, 3]) decode(n);
  const refused = decoder.sample(4, 3);
  await Promise.all([decoder.close(), t.rejects(refused, /was closed/)]);
});

t.test('one picture for a process; the others wait in the order in which they came', async (t) => {
  const { decode, underWay, processes } = await setUp();
  const all = [1, 2, 3, 4, 5].map((n) => decode(n));
  t.same(underWay().sort(), [1, 2, 3]);
  for (let n = 0; n < 5; n++) {
    processes.find((p) => p.asked)?.reply();
    await settle();
  }
  t.same(
    (await Promise.all(all)).map((d) => d.pixels[0]),
    [1, 2, 3, 4, 5],
  );
});

t.test('long decodes leave a process for short ones', async (t) => {
  const { decode, underWay } = await setUp();
  for (const n of [1, 2, 3]) void decode(n, { long: true });
  t.same(underWay().sort(), [1, 2]);
  void decode(4);
  t.same(underWay().sort(), [1, 2, 4]);
});

t.test('listeners are told when the decoder has free places, and how many', async (t) => {
  const { decoder, decode, processOf } = await setUp();
  let told = 0;
  const end = decoder.onIdle(() => {
    told += 1;
  });
  t.same(decoder.places, { short: 3, long: 2 });
  void decode(1);
  t.same(decoder.places, { short: 2, long: 2 });
  for (const n of [2, 3, 4]) void decode(n);
  t.same(decoder.places, { short: 0, long: 0 });
  told = 0;
  processOf(1).reply();
  await settle();
  t.equal(told, 0, 'the fourth took it');
  processOf(4).reply();
  await settle();
  t.ok(told > 0);
  t.same(decoder.places, { short: 1, long: 1 });
  end();
  told = 0;
  processOf(2).reply();
  await settle();
  t.equal(told, 0);
});

t.test('a picture that needs much memory waits until there is enough, and others pass it', async (t) => {
  const { decode, underWay, processOf } = await setUp();
  const [large, larger] = [decode(1), decode(2)];
  processOf(1).reply({ type: 'needs-memory', memoryBytes: 3 * USUAL_BYTES });
  processOf(2).reply({ type: 'needs-memory', memoryBytes: 2 * USUAL_BYTES });
  await settle();
  t.same(underWay(), [1], 'both would need five of the four there are');
  t.match(processOf(1).asked, { memoryBytes: 3 * USUAL_BYTES });
  void decode(3);
  t.same(underWay().sort(), [1, 3]);
  processOf(1).reply();
  await settle();
  t.same(underWay().sort(), [2, 3]);
  processOf(2).reply();
  t.same([(await large).pixels[0], (await larger).pixels[0]], [1, 2]);
  const most = decode(4);
  processOf(4).reply({ type: 'needs-memory', memoryBytes: 5 * USUAL_BYTES });
  await t.rejects(most, { code: 'image-too-large', facts: { detail: /320 MiB/, expected: /256 MiB/ } });
});

t.test('a picture that turns out to take long leaves a place to others from then on', async (t) => {
  const { clock, decoder, decode, underWay, processOf } = await setUp();
  const all = [1, 2, 3, 4].map((n) => decode(n));
  for (const n of [1, 2, 3]) processOf(n).reply({ type: 'takes-long' });
  await settle();
  processOf(4).reply({ type: 'takes-long' });
  await settle();
  t.equal(underWay().length, 2, 'as many as CPUs');
  t.match(processOf(underWay()[0] as number).asked, { long: true });
  const short = decode(5);
  processOf(5).reply();
  t.equal((await short).pixels[0], 5, 'a thumbnail passes');
  await clock.pass(2_999);
  t.equal(underWay().length, 2, 'they have more time before others come');
  t.equal(decoder.stuckMs, 0, 'a place is free');
  await clock.pass(1);
  await settle();
  t.equal(underWay().length, 4);
  for (const n of underWay()) processOf(n as number).reply();
  await Promise.all(all);
});

t.test('a slow decode gives its place to others, and is given up in the end', async (t) => {
  const { clock, decode, underWay, processes, processOf, events } = await setUp();
  const slow = [1, 2, 3].map((n) => decode(n));
  const next = decode(4);
  await clock.pass(999);
  t.same(underWay().sort(), [1, 2, 3]);
  const stuck = processOf(1);
  await clock.pass(1);
  await settle();
  t.same(underWay().sort(), [1, 2, 3, 4], 'in a process of its own');
  t.ok(stuck.yields, 'behind all others');
  processOf(4).reply();
  t.equal((await next).pixels[0], 4);
  await clock.pass(8_999);
  t.notOk(stuck.killed);
  await clock.pass(1);
  await settle();
  t.ok(stuck.killed);
  for (const outcome of slow) await t.rejects(outcome, { code: 'invalid-image', facts: { detail: /10000 ms/ } });
  t.same(events, ['given-up', 'given-up', 'given-up']);
  const after = decode(5);
  processOf(5).reply();
  t.equal((await after).pixels[0], 5);
  t.ok(processes.filter((p) => !p.killed && !p.closed).length <= 6);
});

t.test('of too many slow decodes the longest one is given up', async (t) => {
  const { clock, decode, processOf } = await setUp();
  const first = [1, 2, 3].map((n) => decode(n));
  await clock.pass(1000);
  await settle();
  const second = [4, 5, 6].map((n) => decode(n));
  t.ok(processOf(6), 'under way');
  await clock.pass(1000);
  await settle();
  for (const outcome of first) await t.rejects(outcome, { code: 'overloaded', facts: { retryAfterS: 1 } });
  const short = decode(7);
  processOf(7).reply();
  t.equal((await short).pixels[0], 7, 'nobody else waits');
  processOf(4).reply();
  t.equal((await (second[0] as Promise<{ pixels: Uint8Array }>)).pixels[0], 4, 'slow ones may end');
});

t.test('processes that were added because of slow decodes end when these are done', async (t) => {
  const { clock, decode, processes, processOf, events } = await setUp();
  void decode(1);
  await clock.pass(1000);
  await settle();
  t.equal(processes.length, 4);
  const others = [2, 3, 4].map((n) => decode(n));
  processOf(1).reply();
  for (const n of [2, 3, 4]) processOf(n).reply();
  await Promise.all(others);
  await settle();
  t.equal(processes.filter((p) => p.closed).length, 1, 'only as many as are too many');
  t.same(events, [], 'none has died');
});

t.test('an aborted picture is rejected at once, at any stage', async (t) => {
  const { clock, decode, underWay, processOf } = await setUp();
  const reason = new Error('gone');
  const leaving = [new AbortController(), new AbortController()];
  const running = decode(1, { signal: leaving[0]?.signal as AbortSignal });
  void decode(2);
  void decode(3);
  const waiting = decode(4, { signal: leaving[1]?.signal as AbortSignal });
  for (const l of leaving) l.abort(reason);
  await t.rejects(running, reason);
  await t.rejects(waiting, reason);
  processOf(2).reply();
  await settle();
  t.same(underWay().sort(), [1, 3], 'what waited is not decoded');
  const process = processOf(1);
  await clock.pass(249);
  t.notOk(process.killed, 'a short decode may end');
  await clock.pass(1);
  t.ok(process.killed);
  await t.rejects(decode(5, { signal: AbortSignal.abort(reason) }), reason);
});

t.test('a process that dies is replaced; its picture is tried once more', async (t) => {
  const { clock, decode, processes, processOf, events } = await setUp();
  const outcome = decode(1);
  processOf(1).end('SIGSEGV');
  await settle();
  t.same(events, ['died']);
  t.equal(processes.length, 4);
  t.equal(processOf(1), undefined, 'not at once: others may die with it');
  await clock.pass(100);
  processOf(1).reply();
  t.equal((await outcome).pixels[0], 1, 'somebody else had killed it');
  const bad = decode(2);
  processOf(2).end('SIGSEGV');
  await settle();
  await clock.pass(100);
  processOf(2).end('SIGSEGV');
  await t.rejects(bad, { code: 'invalid-image', facts: { detail: /twice/ } });
  processes.find((p) => !p.asked)?.end('exit code 1');
  await settle();
  t.equal(events.length, 4, 'idle ones too');
});

t.test('a process that cannot start is tried again, ever more slowly', async (t) => {
  let works = true;
  const started: FakeProcess[] = [];
  const { clock, decoder, decode, events } = await setUp({
    start: () => {
      const process = new FakeProcess(works);
      started.push(process);
      if (!works) process.end('exit code 1');
      return process;
    },
  });
  works = false;
  for (const process of [...started]) process.end('SIGKILL');
  await settle();
  t.equal(decoder.alive, 0);
  t.ok(events.includes('cannot-start'));
  const before = started.length;
  const outcome = decode(1);
  await clock.pass(500);
  await settle();
  t.ok(started.length > before);
  t.equal(decoder.stuckMs, 500);
  works = true;
  while (decoder.alive === 0) await clock.pass(500);
  started.find((p) => p.asked)?.reply();
  t.equal((await outcome).pixels[0], 1);
  t.equal(decoder.stuckMs, 0);
});

t.test('what fails unexpectedly is no fault of the client', async (t) => {
  const { decode, processOf } = await setUp();
  const outcome = decode(1);
  processOf(1).reply({ type: 'failed', message: 'a bug' });
  await t.rejects(outcome, /a bug/);
});

t.test('a process that does not end when it is told to is killed', async (t) => {
  const { clock, decode, processes, processOf } = await setUp();
  void decode(1);
  await clock.pass(1000);
  await settle();
  const slow = processOf(1);
  slow.close = () => {};
  slow.reply();
  await settle();
  await clock.pass(1000);
  t.ok(slow.killed);
  t.equal(processes.filter((p) => !p.killed).length, 3);
});

t.test('a decoder reports if none of its processes starts', async (t) => {
  const start = () => {
    const process = new FakeProcess(false);
    process.end('exit code 1');
    return process;
  };
  await t.rejects(setUp({ start }), /exit code 1/);
});

t.test('closing ends idle processes and kills busy ones', async (t) => {
  const { decoder, decode, processes, processOf } = await setUp();
  const outcome = decode(1);
  const busy = processOf(1);
  await decoder.close();
  t.ok(busy.killed);
  t.equal(processes.filter((p) => p.closed).length, 2);
  await t.rejects(outcome);
});
