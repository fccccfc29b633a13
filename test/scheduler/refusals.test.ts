import t from 'tap';
import {
  deadlineExceeded,
  deadlineUnattainable,
  overloaded,
  waitedTooLong,
  wouldWaitTooLong,
} from '../../src/scheduler/refusals.js';

t.test('a full queue: how many wait, how many were asked for, and the limit', (t) => {
  const error = overloaded(250, 8, 256, 1200);
  t.equal(error.code, 'overloaded');
  t.match(error.facts.detail, /\b250 pictures.*\b8 more.*\b256 \(MAX_QUEUE\)/);
  t.match(error.facts.expected, 'room');
  t.match(error.facts.action, 'Retry-After');
  t.end();
});

t.test('a latency that the queue makes impossible: what it would take, rounded up, and what is allowed', (t) => {
  const error = deadlineUnattainable(40, 61.2, 50, 1200);
  t.equal(error.code, 'deadline-unattainable');
  t.match(error.facts.detail, /\b40 pictures.*\b62 ms.*\b50 ms allowed/);
  t.match(error.facts.expected, 'latency');
  t.match(error.facts.action, 'strict=?0');
  t.end();
});

t.test('Retry-After is the backlog in whole seconds, rounded up and at least 1, to prevent busy retries', (t) => {
  for (const [backlogMs, seconds] of [
    [0, 1],
    [1, 1],
    [1000, 1],
    [1001, 2],
    [90_000, 90],
  ] as const) {
    t.equal(overloaded(1, 1, 1, backlogMs).facts.retryAfterS, seconds, `${backlogMs} ms`);
    t.equal(deadlineUnattainable(1, 1, 1, backlogMs).facts.retryAfterS, seconds, `${backlogMs} ms`);
  }
  t.end();
});

t.test('a picture that was never run: how long it waited', (t) => {
  const error = deadlineExceeded(50.6);
  t.equal(error.code, 'deadline-exceeded');
  t.match(error.facts.detail, /\b51 ms\b.*never run/);
  t.match(error.facts.expected, 'latency');
  t.match(error.facts.action, 'strict=?0');
  t.equal(error.facts.retryAfterS, undefined, 'the next one may be in time at once');
  t.end();
});

t.test('a request that is not strict and waits too long: how long, and what is allowed', (t) => {
  for (const [error, detail] of [
    [waitedTooLong(10_000.6, 10_000, 2500), /has waited 10001 ms.*10000 ms at most \(MAX_WAIT_MS\)/],
    [
      wouldWaitTooLong(200, 10_000, 12_000.2),
      /200 pictures waiting.*could start in 12001 ms.*10000 ms at most \(MAX_WAIT_MS\)/,
    ],
  ] as const) {
    t.equal(error.code, 'overloaded');
    t.match(error.facts.detail, detail);
    t.ok(error.facts.expected.length > 10);
    t.match(error.facts.action, 'Retry-After');
  }
  t.equal(waitedTooLong(1, 1, 2500).facts.retryAfterS, 3);
  t.equal(wouldWaitTooLong(1, 1, 0).facts.retryAfterS, 1);
  t.end();
});
