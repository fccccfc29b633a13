import t from 'tap';
import { faultLog } from '../../src/telemetry/faults.js';

t.test('the first fault is logged at once, others once a second with how many they stand for', (t) => {
  let nowMs = 5;
  const lines: unknown[] = [];
  const told = faultLog({ error: (facts: unknown) => lines.push(facts) } as never, () => nowMs);
  for (let n = 0; n < 1000; n++, nowMs += 1) told(`fault ${n}`);
  t.same(lines, [{ err: 'fault 0', passedOver: 0 }]);
  told('another');
  t.same(lines[1], { err: 'another', passedOver: 999 });
  t.end();
});
