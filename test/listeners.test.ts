import t from 'tap';
import { Listeners } from '../src/listeners.js';

t.test('every listener is called until it unsubscribes; one that is added twice is called twice', (t) => {
  const listeners = new Listeners();
  let told = 0;
  const one = () => {
    told += 1;
  };
  const ends = [listeners.add(one), listeners.add(one)];
  listeners.tell();
  t.equal(told, 2);
  ends[0]?.();
  listeners.tell();
  t.equal(told, 3);
  ends[1]?.();
  ends[1]?.();
  listeners.tell();
  t.equal(told, 3);
  t.end();
});

t.test('a listener that unsubscribes while all are called does not affect the others', (t) => {
  const listeners = new Listeners();
  const told: string[] = [];
  const end = listeners.add(() => {
    told.push('a');
    end();
  });
  listeners.add(() => told.push('b'));
  listeners.tell();
  listeners.tell();
  t.same(told, ['a', 'b', 'b']);
  t.end();
});
