/** Inference over gRPC: tensors as raw contents and as values, outputs, budgets. */
import t from 'tap';
import { picture } from '../support/app.js';
import { facts, fileImages, floats, grpcApp, isRefusal, rawImage } from '../support/grpc.js';
import { bytesTensor, filesInput, isAnswer, pixels, post } from '../support/v2.js';

t.test('raw contents and values give the same, as over REST', async (t) => {
  const { app, url, caller, runtime } = await grpcApp(t);
  const raw = pixels();
  const image = { name: 'image', datatype: 'UINT8', shape: [1, 16, 16, 3] };
  const answer = await caller.call('ModelInfer', { ...rawImage(raw), id: 'mine' });
  t.match(answer.message, { model_name: 'tiny', id: 'mine' });
  t.same(Buffer.from(runtime.history[0]?.images ?? new ArrayBuffer(0)), raw);
  t.same(
    answer.message.outputs.map((o: { name: string; shape: number[]; datatype: string }) => [
      o.name,
      o.shape,
      o.datatype,
    ]),
    [
      ['probabilities', [1, 3], 'FP32'],
      ['logits', [1, 3], 'FP32'],
    ],
    'all outputs, if none is named',
  );
  t.same(floats(answer.message.raw_output_contents[1]), [4, 0, 0]);
  const values = { model_name: 'tiny', inputs: [{ ...image, contents: { uint_contents: [...raw] } }] };
  t.same((await caller.call('ModelInfer', values)).message.raw_output_contents, answer.message.raw_output_contents);
  t.same(Buffer.from(runtime.history[1]?.images ?? new ArrayBuffer(0)), raw);

  const files = [await picture(), await picture('jpeg')];
  const rest = await isAnswer(t, await post(url, { inputs: [filesInput(files)] }));
  const bytes = { name: 'image_bytes', datatype: 'BYTES', shape: [2] };
  for (const request of [
    fileImages(files),
    { model_name: 'tiny', inputs: [bytes], raw_input_contents: [bytesTensor(files)] },
  ]) {
    const { message } = await caller.call('ModelInfer', request);
    t.same(floats(message.raw_output_contents[1]), rest.outputs[1]?.data);
    t.same(message.outputs[0].shape, [2, 3]);
  }
  t.equal(app.state.uploads.heldBytes, 0);
  t.equal(app.state.inFlight.size, 0);
});

t.test('headers of the answer say what it cost, as over HTTP', async (t) => {
  const { url, caller } = await grpcApp(t);
  const { headers } = await caller.call('ModelInfer', rawImage());
  t.match(String(headers.get('server-timing')[0]), /^decode;dur=[\d.]+, queue;dur=/);
  const response = await fetch(`${url}/classify`, { method: 'POST', body: await picture() });
  t.same(headers.get('inference-cost'), [response.headers.get('inference-cost')]);
});

t.test('outputs that are named, as values or raw, and the classification extension', async (t) => {
  const { caller } = await grpcApp(t);
  const ask = async (outputs: object[], parameters: object = {}) =>
    (await caller.call('ModelInfer', { ...rawImage(), outputs, parameters })).message;
  const one = await ask([{ name: 'logits' }]);
  t.equal(one.outputs.length, 1);
  t.same(floats(one.raw_output_contents[0]), [4, 0, 0]);
  const values = await ask([{ name: 'logits' }], { binary_data_output: { bool_param: false } });
  t.same(values.raw_output_contents, []);
  t.same(values.outputs[0].contents.fp32_contents, [4, 0, 0]);
  const classification = (count: number) => ({ classification: { int64_param: count } });
  const labels = await ask([{ name: 'logits', parameters: classification(2) }]);
  t.match(labels.outputs, [{ datatype: 'BYTES', shape: [1, 2] }]);
  t.same(labels.raw_output_contents[0], bytesTensor([Buffer.from('4:0:diagonal'), Buffer.from('0:1:horizontal')]));
  const texts = await ask([
    { name: 'logits', parameters: { ...classification(1), binary_data: { bool_param: false } } },
  ]);
  t.same(texts.outputs[0].contents.bytes_contents.map(String), ['4:0:diagonal']);
});

t.test('budgets as metadata, as parameters and as a deadline', async (t) => {
  const { caller } = await grpcApp(t);
  const message = (parameters: object = {}) => rawImage(pixels(), [1, 16, 16, 3], parameters);
  const ask = async (parameters: object, headers = {}, options = {}) =>
    facts(await caller.call('ModelInfer', message(parameters), headers, options));
  const soon = (ms: number) => ({ deadline: Date.now() + ms });
  t.match(await ask({}), { instance: 'full', reason: 'most accurate', cost_share: 1, budget_met: true });
  t.match(await ask({ budget_cost: { double_param: 0.4 } }), { instance: 'p01-r500', cost_flops: 149600 });
  t.match(await ask({ budget_flops: { int64_param: 350000 } }), { instance: 'p02-r750' });
  t.match(await ask({ budget_flops: { uint64_param: 350000 } }), { instance: 'p02-r750' });
  t.match(await ask({ budget_cost: { double_param: 0.1 }, budget_strict: { bool_param: false } }), {
    instance: 'p01-r500',
    budget_met: false,
  });
  t.match(await ask({}, { 'inference-budget': 'cost=0.4' }), { instance: 'p01-r500' });

  await t.test('the smallest latency holds', async (t) => {
    const within = (reason: unknown) => Number(/within ([\d.]+) ms/.exec(String(reason))?.[1]);
    const deadline = within((await ask({}, {}, soon(600_000))).reason);
    t.ok(deadline > 500_000 && deadline <= 600_000, 'a deadline is a latency');
    const both = await ask({ budget_latency_ms: { int64_param: 300_000 } }, {}, soon(600_000));
    t.equal(within(both.reason), 300_000);
    t.ok(within((await ask({}, { 'inference-budget': 'latency=900000' }, soon(600_000))).reason) <= 600_000);
    const timeout = await ask({ timeout: { int64_param: 200_000_000 }, budget_latency_ms: { int64_param: 300_000 } });
    t.equal(within(timeout.reason), 200_000);
    t.match(await ask({}, { 'inference-budget': 'cost=0.4' }, soon(600_000)), {
      instance: 'p01-r500',
      reason: /in time within \d+ ms, within cost 0.4/,
    });
    t.equal((await ask({}, {}, soon(4_000_000))).reason, 'most accurate', 'beyond the longest latency it is no limit');
  });

  await t.test('what cannot be read, or met', async (t) => {
    const fail = (parameters: object, headers = {}) => caller.fail('ModelInfer', message(parameters), headers);
    for (const [parameters, text] of [
      [{ budget_cost: { double_param: 2 } }, /parameter budget_cost is 2/],
      [{ budget_cost: { double_param: Number.NaN } }, /parameter budget_cost is NaN/],
      [{ budget_cost: { string_param: '0.5' } }, /parameter budget_cost is text/],
      [{ budget_cost: {} }, /parameter budget_cost is text/],
      [{ budget_speed: { int64_param: 1 } }, /no parameter budget_speed/],
      [{ timeout: { int64_param: -1 } }, /timeout/],
    ] as const)
      t.match(isRefusal(t, await fail(parameters), 'invalid-budget'), text);
    const both = await fail({ budget_cost: { double_param: 0.5 } }, { 'inference-budget': 'cost=0.5' });
    t.match(isRefusal(t, both, 'invalid-budget'), 'leave out the header or the parameters');
    t.match(isRefusal(t, await fail({}, { 'inference-budget': 'speed=1' }), 'invalid-budget'), 'unknown member speed');
    t.match(isRefusal(t, await fail({}, { 'inference-budget': 'cost=0.001' }), 'infeasible-budget'), 'cost=0.347');
  });

  await t.test('without one the default holds, and a deadline makes it no laxer', async (t) => {
    const { caller } = await grpcApp(t, { DEFAULT_BUDGET: 'cost=0.4, latency=500000, strict=?0' });
    const ask = async (options = {}) => facts(await caller.call('ModelInfer', message(), {}, options));
    t.match(await ask(), { instance: 'p01-r500', reason: /within 500000 ms/ });
    t.match(await ask(soon(600_000)), { instance: 'p01-r500', reason: /within 500000 ms/ });
    t.notMatch(await ask(soon(400_000)), { reason: /within 500000 ms/ });
  });
});

t.test('requests that are wrong are told how', async (t) => {
  const { app, caller } = await grpcApp(t, { MAX_IMAGES: '2', MAX_IMAGE_BYTES: '4000', MAX_JSON_BYTES: '40000' });
  const raw = pixels(2, 2);
  const image = { name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 3] };
  const files = { name: 'image_bytes', datatype: 'BYTES', shape: [1] };
  const values = { ...image, contents: { uint_contents: [...raw] } };
  const file = await picture();
  const cases: [message: object, text: RegExp][] = [
    [{}, /0 inputs; expected: one input: image UINT8/],
    [{ inputs: [values, values] }, /2 inputs/],
    [{ inputs: [{ ...values, name: 'pixels' }] }, /no input "pixels"/],
    [{ inputs: [{ ...values, datatype: 'FP32' }] }, /datatype "FP32"/],
    [{ inputs: [{ ...values, datatype: '' }] }, /datatype ""/],
    [{ inputs: [{ ...values, shape: [2, 2, 3] }] }, /shape \[2, 2, 3\]/],
    [{ inputs: [{ ...values, shape: [1, -2, -2, 3] }] }, /shape \[1, -2, -2, 3\]/],
    [{ inputs: [{ ...values, shape: [-1, 2, 2, 3] }] }, /shape \[-1, /],
    [{ inputs: [{ ...values, shape: [0, 2, 2, 3] }] }, /shape \[0, /],
    [{ inputs: [{ ...values, shape: Array(500).fill(1) }] }, /shape \[1, 1, 1, 1, 1, 1, 1, 1, \.\.\.\]/],
    [{ inputs: [{ ...values, shape: [1, 2, 3, 3] }] }, /12 values where its shape says 18/],
    [{ inputs: [image], raw_input_contents: [raw.subarray(1)] }, /11 bytes; expected: 12/],
    [{ inputs: [image], raw_input_contents: [raw, raw] }, /raw_input_contents has 2 elements/],
    [{ inputs: [image] }, /"image" has no data; expected: raw_input_contents, or uint_contents/],
    [{ inputs: [files] }, /"image_bytes" has no data; expected: raw_input_contents, or bytes_contents/],
    [{ inputs: [values], raw_input_contents: [raw] }, /raw_input_contents and contents/],
    [
      { inputs: [{ ...image, contents: { int_contents: [...raw] } }] },
      /int_contents; expected: uint_contents for UINT8/,
    ],
    [{ inputs: [{ ...image, contents: { uint_contents: Array(12).fill(256) } }] }, /256 at place 0/],
    [{ inputs: [{ ...files, contents: { bytes_contents: [file, file] } }] }, /2 elements; expected: 1/],
    [{ inputs: [files], raw_input_contents: [file] }, /ends beyond its data/],
    [{ inputs: [{ ...values, parameters: { shared_memory_region: { string_param: 'a' } } }] }, /shared memory/],
    [{ inputs: [values], id: 'x'.repeat(1001) }, /id of the request has 1001 characters; expected: at most 1000/],
    [{ inputs: [values], outputs: [{ name: 'scores' }] }, /no output "scores"/],
    [{ inputs: [values], outputs: [{ name: 'logits' }, { name: 'logits' }] }, /twice/],
    [
      { inputs: [values], outputs: [{ name: 'logits', parameters: { classification: {} } }] },
      /classification is ""; expected: how many/,
    ],
    [
      {
        inputs: [values],
        outputs: [{ name: 'logits', parameters: { binary_data: { bool_param: false } } }, { name: 'probabilities' }],
      },
      /some outputs are wanted raw and others not/,
    ],
    [{ inputs: [values], parameters: { binary_data_output: { int64_param: 1 } } }, /binary_data_output is 1/],
  ];
  for (const [message, text] of cases)
    t.match(isRefusal(t, await caller.fail('ModelInfer', { model_name: 'tiny', ...message }), 'invalid-request'), text);
  const fail = (message: object) => caller.fail('ModelInfer', message);
  isRefusal(t, await fail(fileImages([file, file, file])), 'too-many-images');
  isRefusal(t, await fail(rawImage(raw, [3, 2, 2, 3])), 'too-many-images');
  t.match(isRefusal(t, await fail(fileImages([file, Buffer.alloc(4001)])), 'image-too-large'), 'in picture 1');
  isRefusal(t, await fail(rawImage(pixels(40, 40), [1, 40, 40, 3])), 'image-too-large');
  const damaged = isRefusal(t, await fail(fileImages([file, file.subarray(0, 60)])), 'invalid-image');
  t.match(damaged, 'in picture 1 (counted from 0)');
  t.equal(app.state.uploads.heldBytes, 0, 'nothing is held any more');
  await caller.call('ModelInfer', rawImage());
});

t.test('lists of values of the specification that pictures do not have', async (t) => {
  const { caller } = await grpcApp(t);
  const lists = ['bool', 'int', 'int64', 'uint', 'uint64', 'fp32', 'fp64', 'bytes'].map((kind) => `${kind}_contents`);
  for (const [input, right] of [
    [{ name: 'image', datatype: 'UINT8', shape: [1, 1, 1, 3] }, 'uint_contents'],
    [{ name: 'image_bytes', datatype: 'BYTES', shape: [3] }, 'bytes_contents'],
  ] as const) {
    for (const list of lists.filter((l) => l !== right)) {
      const values = list === 'bytes_contents' ? [1, 2, 3].map((n) => Buffer.from([n])) : [1, 2, 3];
      const message = { model_name: 'tiny', inputs: [{ ...input, contents: { [list]: values } }] };
      const error = await caller.fail('ModelInfer', message);
      t.match(isRefusal(t, error, 'invalid-request'), `has values in ${list}; expected: ${right}`);
    }
  }
});

t.test('data types of the specification that pictures do not have', async (t) => {
  const { url, caller } = await grpcApp(t);
  const types = ['BOOL', 'UINT16', 'UINT32', 'UINT64', 'INT8', 'INT16', 'INT32', 'INT64', 'FP16', 'FP32', 'FP64'];
  for (const datatype of [...types, 'BYTES']) {
    const input = { name: 'image', datatype, shape: [1, 1, 1, 3] };
    const text = new RegExp(`input image has the datatype "${datatype}"; expected: one input: image UINT8`);
    const message = { model_name: 'tiny', inputs: [input], raw_input_contents: [Buffer.alloc(24)] };
    t.match(isRefusal(t, await caller.fail('ModelInfer', message), 'invalid-request'), text);
    const rest = await post(url, { inputs: [{ ...input, data: [1, 2, 3] }] });
    t.match(((await rest.json()) as { error: string }).error, text, 'as over REST');
  }
});
