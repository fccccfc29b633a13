import t from 'tap';
import { StartProgress } from '../src/start-progress.js';
import { createLogger } from '../src/telemetry/logger.js';

t.test('the progress of a start can be read, and is logged once a second', (t) => {
  const lines: unknown[] = [];
  const logger = Object.assign(createLogger('silent'), { info: (facts: unknown) => lines.push(facts) });
  const progress = new StartProgress();
  t.same(progress.now, { stage: 'reading', ready: 0, of: 0 });
  let tick = () => {};
  const timer = setInterval(() => {}, 2 ** 30).unref();
  progress.begin(logger, (work, ms) => {
    t.equal(ms, 1000);
    tick = work;
    return timer;
  });
  progress.enter('loading', 48);
  progress.loaded(7);
  tick();
  progress.enter('measuring');
  progress.loaded(48);
  tick();
  t.same(lines, [
    { stage: 'loading', ready: 7, of: 48 },
    { stage: 'measuring', ready: 48, of: 48 },
  ]);
  progress.end();
  t.end();
});
