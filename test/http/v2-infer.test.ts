/** Inference by the Open Inference Protocol, all of it in JSON. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import t from 'tap';
import { softmax } from '../../src/engine/softmax.js';
import { goldenPicture } from '../../src/engine/twins.js';
import { goldenSchema } from '../../src/family/manifest.js';
import { classify, createApp, FAMILIES, picture, readyApp } from '../support/app.js';
import { filesInput, imageInput, isAnswer, isV2Error, pixels, post } from '../support/v2.js';

/** The bytes of a picture of the size of the network. */
const SIZE = 16 * 16 * 3;

/** Pictures as they reached the network since the last time; which of a request ran first does not matter. */
function seen(runtime: { history: { size: number; images: ArrayBuffer }[] }): string[] {
  const all = runtime.history.splice(0).flatMap(({ size, images }) => {
    return Array.from({ length: size }, (_, n) => Buffer.from(images, n * SIZE, SIZE).toString('base64'));
  });
  return all.sort();
}

t.test('the networks themselves: pixels give the logits of training', async (t) => {
  const { app, url } = await createApp(t);
  await app.start();
  const golden = goldenSchema.parse(JSON.parse(readFileSync(join(FAMILIES, 'tiny/golden.json'), 'utf8')));
  const cases = golden.cases.filter((c) => c.instance === 'full');
  t.ok(cases.length > 1);
  const data = cases.flatMap(({ k }) => [...goldenPicture(16, 16, k)]);
  const response = await post(url, { id: 'seven', inputs: [imageInput(data, [cases.length, 16, 16, 3])] });
  t.match(response.headers.get('server-timing'), /^decode;dur=/);
  t.match(response.headers.get('inference-cost'), /^flops=\d+, share=3(\.0)?, instances=\("full"\)$/);
  const { outputs, ...answer } = await isAnswer(t, response);
  const { version } = app.state.service.catalog.family('tiny').family;
  t.match(answer, { model_name: 'tiny', model_version: version, id: 'seven' });
  t.same(
    outputs.map(({ name, shape, datatype }) => [name, shape, datatype]),
    [
      ['probabilities', [cases.length, 3], 'FP32'],
      ['logits', [cases.length, 3], 'FP32'],
    ],
    'all outputs, if none is named',
  );
  const [probabilities = [], logits = []] = outputs.map((o) => o.data as number[]);
  const expected = cases.flatMap((c) => c.logits);
  t.ok(expected.every((value, n) => Math.abs(value - (logits[n] as number)) <= golden.tolerance));
  const { temperature } = app.state.service.catalog.family('tiny').full;
  const right = cases.flatMap((_, n) => [...softmax(Float32Array.from(logits.slice(3 * n, 3 * n + 3)), temperature)]);
  t.ok(right.every((value, n) => Math.abs(value - (probabilities[n] as number)) < 1e-5));
  t.ok([...probabilities, ...logits].every((v) => Math.fround(v) === Math.fround(Number(v.toPrecision(9)))));
});

t.test('pixels are resized as the same picture in a file is', async (t) => {
  const { url, runtime } = await readyApp(t);
  for (const [width, height] of [
    [16, 16],
    [40, 24],
    [5, 9],
    [1, 1],
    [300, 2],
  ] as const) {
    seen(runtime);
    const raw = pixels(width, height);
    const file = await sharp(raw, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    await isAnswer(t, await post(url, { inputs: [imageInput([...raw], [1, height, width, 3])] }));
    const [one] = seen(runtime);
    await isAnswer(t, await post(url, { inputs: [filesInput([file])] }));
    t.same(seen(runtime), [one], `${width} x ${height}`);
    if (width === 16) t.equal(one, raw.toString('base64'), 'untouched at the size of the network');
  }
});

t.test('data flat, or in the shape of the tensor', async (t) => {
  const { url, runtime } = await readyApp(t);
  const raw = [...pixels(2, 3), ...pixels(2, 3).reverse()];
  const nested = [0, 1].map((n) =>
    [0, 1, 2].map((y) => [0, 1].map((x) => raw.slice(18 * n + 6 * y + 3 * x).slice(0, 3))),
  );
  seen(runtime);
  await isAnswer(t, await post(url, { inputs: [imageInput(raw, [2, 3, 2, 3])] }));
  const flat = seen(runtime);
  t.equal(new Set(flat).size, 2);
  await isAnswer(t, await post(url, { inputs: [imageInput(nested, [2, 3, 2, 3])] }));
  t.same(seen(runtime), flat);
});

t.test('what is named comes back, and no more', async (t) => {
  const { url } = await readyApp(t);
  const inputs = [filesInput([await picture(), await picture('jpeg')])];
  const ask = async (more: object) => isAnswer(t, await post(url, { inputs, ...more }));
  t.same(
    Object.keys(await ask({})),
    ['model_name', 'model_version', 'parameters', 'outputs'],
    'no id, if none is given',
  );
  t.equal((await ask({ id: '' })).id, '');
  const named = await ask({ outputs: [{ name: 'logits' }, { name: 'probabilities' }] });
  t.same(
    named.outputs.map((o) => o.name),
    ['logits', 'probabilities'],
  );
  t.same(named.outputs[0]?.data, [4, 0, 0, 4, 0, 0]);
  t.same((await ask({ outputs: [] })).outputs.length, 2);
  const unknown = { model_name: 'tiny', custom: [1], parameters: { priority: 1, sequence_id: 'a', mine: true } };
  t.equal((await ask(unknown)).outputs.length, 2, 'what others read is let be');
});

t.test('the classification extension', async (t) => {
  const { url } = await readyApp(t);
  const inputs = [filesInput([await picture(), await picture()])];
  const ask = async (name: string, classification: number) => {
    const outputs = [{ name, parameters: { classification } }];
    return (await isAnswer(t, await post(url, { inputs, outputs }))).outputs;
  };
  t.same(await ask('logits', 2), [
    {
      name: 'logits',
      shape: [2, 2],
      datatype: 'BYTES',
      data: ['4:0:diagonal', '0:1:horizontal', '4:0:diagonal', '0:1:horizontal'],
    },
  ]);
  const [{ data, shape } = { data: [], shape: [] }] = await ask('probabilities', 10);
  t.same(shape, [2, 3], 'no more than there are');
  const [first = ''] = data as string[];
  const [value, index, label] = first.split(':');
  t.ok(Math.abs(Number(value) - 1) < 0.1);
  t.same([index, label], ['0', 'diagonal']);
  t.equal((await ask('logits', 0))[0]?.datatype, 'FP32', '0 is none');
});

t.test('budgets as parameters', async (t) => {
  const { url } = await readyApp(t);
  const inputs = [filesInput([await picture()])];
  const send = (parameters: object, headers = {}) => post(url, { inputs, parameters }, headers);
  const ask = async (parameters: object, headers = {}) =>
    (await isAnswer(t, await send(parameters, headers))).parameters;
  t.match(await ask({}), { instance: 'full', reason: 'most accurate', cost_share: 1, budget_met: true });
  t.match(await ask({ budget_cost: 0.4 }), {
    instance: 'p01-r500',
    reason: 'most accurate within cost 0.4',
    cost_flops: 149600,
  });
  t.match(await ask({ budget_flops: 350000 }), { instance: 'p02-r750' });
  t.match(await ask({ budget_accuracy: 0.84 }), { instance: 'p02-r750' });
  t.match(await ask({ budget_latency_ms: 2000 }), { instance: 'full', reason: 'most accurate in time within 2000 ms' });
  t.match(await ask({ budget_cost: 0.65, budget_latency_ms: 2000 }), { instance: 'p02-r500' });
  t.match(await ask({ budget_cost: 0.1, budget_strict: false }), { instance: 'p01-r500', budget_met: false });
  t.match(await ask({}, { 'Inference-Budget': 'cost=0.4' }), { instance: 'p01-r500' }, 'as a header');

  await t.test("Triton's timeout is one more latency: the smallest holds", async (t) => {
    t.match(await ask({ timeout: 2_000_000 }), { reason: 'most accurate in time within 2000 ms' });
    t.match(await ask({ timeout: 2_500_500, budget_latency_ms: 3000 }), { reason: /within 2500.5 ms/ });
    t.match(await ask({ timeout: 3_000_000, budget_latency_ms: 2000 }), { reason: /within 2000 ms/ });
    t.match(await ask({ timeout: 2_000_000 }, { 'Inference-Budget': 'cost=0.4, latency=3000' }), {
      reason: /within 2000 ms, within cost 0.4/,
    });
    t.match(await ask({ timeout: 0 }), { reason: /^most accurate$/ }, '0 is none');
    await isV2Error(t, await send({ timeout: 1 }), 'infeasible-budget');
  });

  await t.test('what cannot be read, or met', async (t) => {
    for (const [parameters, text] of [
      [{ budget_cost: 2 }, /parameter budget_cost is 2; expected: a share in \(0, 1\]/],
      [{ budget_cost: '0.5' }, /parameter budget_cost is text/],
      [{ budget_strict: 0 }, /parameter budget_strict is 0; expected: true or false/],
      [{ budget_latency: 5 }, /no parameter budget_latency; expected: budget_flops, budget_cost, budget_latency_ms/],
      [{ budget_constructor: 5 }, /no parameter budget_constructor/],
      [{ timeout: -1 }, /timeout.*whole microseconds/],
      [{ timeout: '5' }, /timeout/],
      [{ timeout: 1.5 }, /timeout/],
      [{ timeout: 4e9 }, /timeout/],
    ] as const) {
      t.match(await isV2Error(t, await send(parameters), 'invalid-budget'), text);
    }
    const both = await send({ budget_cost: 0.5 }, { 'Inference-Budget': 'cost=0.5' });
    t.match(await isV2Error(t, both, 'invalid-budget'), 'leave out the header or the parameters');
    t.match(await isV2Error(t, await send({ budget_cost: 0.001 }), 'infeasible-budget'), 'cost=0.347');
  });

  await t.test('without one the default holds, and a timeout makes it no laxer', async (t) => {
    const { url } = await readyApp(t, { DEFAULT_BUDGET: 'cost=0.4, latency=5000, strict=?0' });
    const ask = async (parameters: object) => (await isAnswer(t, await post(url, { inputs, parameters }))).parameters;
    t.match(await ask({}), { instance: 'p01-r500' });
    t.match(await ask({ timeout: 9_000_000 }), { instance: 'p01-r500', reason: /within 5000 ms/ });
    t.match(await ask({ timeout: 4_000_000 }), { instance: 'p01-r500', reason: /within 4000 ms/ });
    t.match(
      await ask({ budget_strict: true }),
      { instance: 'full', reason: 'most accurate' },
      'parameters replace it whole',
    );
  });
});

t.test('several pictures may have several instances: each is named', async (t) => {
  const { url } = await readyApp(t);
  const files = [await picture(), await picture(), await picture()];
  const { parameters } = await isAnswer(
    t,
    await post(url, { inputs: [filesInput(files)], parameters: { budget_cost: 0.4 } }),
  );
  t.match(parameters, { instance: 'p01-r500,p01-r500,p01-r500', cost_flops: 3 * 149600 });
  t.ok(Math.abs(parameters.cost_share - (3 * 149600) / 432224) < 1e-5);
  t.ok(parameters.total_ms > 0);
});

t.test('what would take far more memory to check than it has bytes is refused before', async (t) => {
  const { app, url } = await readyApp(t);
  const image = imageInput([...pixels(2, 2)], [1, 2, 2, 3]);
  const parameters = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`p${n}`, n]));
  const many = Array(1001).fill(1);
  const bodies: object[] = [
    { inputs: many },
    { inputs: Array(1001).fill({}) },
    { inputs: [image], outputs: many },
    { inputs: [image], parameters: parameters(1000) },
    { inputs: [image], parameters: many },
    { inputs: [{ ...image, parameters: parameters(1000) }] },
    { inputs: [image], outputs: [{ name: 'logits', parameters: parameters(999) }] },
    { inputs: [image], outputs: Array(10).fill({ name: 'logits', parameters: parameters(100) }) },
  ];
  for (const body of bodies) {
    t.match(
      await isV2Error(t, await post(url, body), 'invalid-request'),
      /the request has \d+ inputs, outputs and parameters; expected: .*at most 1000 together/,
    );
  }
  await isAnswer(
    t,
    await post(url, { inputs: [{ ...image, parameters: parameters(499) }], parameters: parameters(500) }),
  );
  t.equal(app.state.uploads.heldBytes, 0);
});

t.test('values that are nested deeply are refused as others are', async (t) => {
  const { app, url } = await readyApp(t);
  const depth = 500_000; // V8 reads so many levels, and its JSON.stringify overflows the stack
  const nested = [
    [`${'['.repeat(depth)}${']'.repeat(depth)}`, /an array at place 1/],
    [`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`, /an object at place 1/],
  ] as const;
  for (const [value, text] of nested) {
    const body = JSON.stringify({ inputs: [imageInput([1, 7, 3], [1, 1, 1, 3])] }).replace('7', value);
    t.match(await isV2Error(t, await post(url, Buffer.from(body)), 'invalid-request'), text);
  }
  t.equal(app.state.uploads.heldBytes, 0);
});

t.test('requests that are wrong are told how', async (t) => {
  const { app, url } = await readyApp(t, { MAX_IMAGES: '2', MAX_IMAGE_BYTES: '4000', MAX_JSON_BYTES: '40000' });
  const file = await picture();
  const image = imageInput([...pixels(2, 2)], [1, 2, 2, 3]);
  const cases: [body: object | Buffer, text: RegExp][] = [
    [Buffer.from(''), /the body is no JSON/],
    [Buffer.from('{'), /the body is no JSON/],
    [Buffer.from([0x22, 0xff, 0x22]), /not in UTF-8/],
    [Buffer.from('[]'), /the request: .*expected object/i],
    [{}, /the request\.inputs: /],
    [{ inputs: [] }, /the request\.inputs: /],
    [{ inputs: [image, image] }, /2 inputs; expected: one input: image UINT8/],
    [{ inputs: [{ ...image, name: 'pixels' }] }, /no input "pixels"/],
    [{ inputs: [{ ...image, datatype: 'FP32' }] }, /datatype "FP32"/],
    [{ inputs: [{ ...image, shape: [2, 2, 3] }] }, /shape \[2, 2, 3\]/],
    [{ inputs: [{ ...image, shape: [1, 2, 2, 4] }] }, /shape \[1, 2, 2, 4\]/],
    [{ inputs: [{ ...image, shape: [0, 2, 2, 3], data: [] }] }, /shape \[0, /],
    [{ inputs: [{ ...image, shape: [1, -2, 2, 3] }] }, /the request\.inputs\[0\]\.shape\[1\]/],
    [{ inputs: [{ ...image, shape: [1, 2.5, 2, 3] }] }, /the request\.inputs\[0\]\.shape\[1\]/],
    [{ inputs: [{ ...image, shape: 'x' }] }, /the request\.inputs\[0\]\.shape/],
    [{ inputs: [{ ...image, data: undefined }] }, /"image" has no data/],
    [{ inputs: [{ ...image, data: 5 }] }, /no array/],
    [{ inputs: [{ ...image, data: [1, 2] }] }, /2 values where its shape says 12/],
    [{ inputs: [{ ...image, data: [...pixels(2, 2), 0] }] }, /13 values/],
    [{ inputs: [{ ...image, data: [[1]] }] }, /1 values where its shape says 2/],
    [
      {
        inputs: [
          {
            ...image,
            data: [
              [
                [[1, 2, 3], 4],
                [
                  [1, 2, 3],
                  [1, 2, 3],
                ],
              ],
            ],
          },
        ],
      },
      /no array/,
    ],
    [{ inputs: [{ ...image, data: Array(12).fill(256) }] }, /256 at place 0; expected: whole numbers from 0 to 255/],
    [{ inputs: [{ ...image, data: Array(12).fill(-1) }] }, /-1 at place 0/],
    [{ inputs: [{ ...image, data: Array(12).fill(0.5) }] }, /0.5 at place 0/],
    [{ inputs: [{ ...image, data: Array(12).fill('1') }] }, /"1" at place 0/],
    [{ inputs: [{ ...image, data: [{}, ...pixels(2, 2).subarray(1)] }] }, /an object at place 0/],
    [{ inputs: [{ ...image, data: [0, [], ...pixels(2, 2).subarray(2)] }] }, /an array at place 1/],
    [
      Buffer.from(JSON.stringify({ inputs: [{ ...image, data: Array(12).fill(7) }] }).replace('7', '1e400')),
      /Infinity/,
    ],
    [{ inputs: [{ ...filesInput([file]), data: ['no base64'] }] }, /element 0 of input image_bytes is not base64/],
    [{ inputs: [{ ...filesInput([file]), data: [5] }] }, /no array of text/],
    [{ inputs: [{ ...filesInput([file]), shape: [2] }] }, /1 elements; expected: 2/],
    [{ inputs: [{ ...filesInput([file]), shape: [1, 1] }] }, /shape \[1, 1\]/],
    [{ inputs: [{ ...image, parameters: { binary_data_size: 12 } }] }, /no Inference-Header-Content-Length/],
    [{ inputs: [{ ...image, parameters: { shared_memory_region: 'a' } }] }, /shared memory/],
    [{ inputs: [{ ...image, parameters: { mine: {} } }] }, /the request\.inputs\[0\]\.parameters\.mine/],
    [{ inputs: [image], id: 5 }, /the request\.id/],
    [{ inputs: [image], id: 'x'.repeat(1001) }, /the request\.id: .*1000/],
    [{ inputs: [image], outputs: [{ name: 'scores' }] }, /no output "scores"; expected: one of probabilities, logits/],
    [{ inputs: [image], outputs: [{ name: 'logits' }, { name: 'logits' }] }, /twice/],
    [{ inputs: [image], outputs: [{ name: 'logits', parameters: { classification: 1.5 } }] }, /classification is 1.5/],
    [{ inputs: [image], outputs: [{ name: 'logits', parameters: { binary_data: 1 } }] }, /binary_data is 1/],
    [{ inputs: [image], parameters: { binary_data_output: 'yes' } }, /binary_data_output is "yes"/],
    [{ inputs: [image], outputs: [{ name: 'logits', parameters: { shared_memory_region: 'a' } }] }, /shared memory/],
  ];
  for (const [body, text] of cases) t.match(await isV2Error(t, await post(url, body), 'invalid-request'), text);
  const many = [file, file, file];
  await isV2Error(t, await post(url, { inputs: [filesInput(many)] }), 'too-many-images');
  await isV2Error(t, await post(url, { inputs: [{ ...image, shape: [3, 2, 2, 3] }] }), 'too-many-images');
  const large = Buffer.alloc(4001);
  t.match(
    await isV2Error(t, await post(url, { inputs: [filesInput([file, large])] }), 'image-too-large'),
    'in picture 1',
  );
  await isV2Error(t, await post(url, { inputs: [imageInput([...pixels(40, 40)], [1, 40, 40, 3])] }), 'image-too-large');
  const long = { inputs: [image], id: 'x'.repeat(40_000) };
  t.match(await isV2Error(t, await post(url, long), 'image-too-large'), 'MAX_JSON_BYTES');
  const damaged = await isV2Error(
    t,
    await post(url, { inputs: [filesInput([file, file.subarray(0, 60)])] }),
    'invalid-image',
  );
  t.match(damaged, 'in picture 1 (counted from 0)');
  await isV2Error(t, await post(url, { inputs: [filesInput([Buffer.from('text')])] }), 'unsupported-media');
  t.equal(app.state.uploads.heldBytes, 0, 'nothing is held any more');
  t.equal((await classify(url, file)).status, 200, 'and the service goes on');
});
