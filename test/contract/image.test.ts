/** The contents of the container image. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { PAGE_FILES } from '../../src/http/page.js';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

t.test('the image has the protocol of GRPC_PORT where the service looks for it', (t) => {
  t.match(read('Dockerfile'), /^COPY proto proto$/m);
  t.match(read('src/grpc/server.ts'), "'../../proto/open_inference_grpc.proto'");
  t.match(read('proto/open_inference_grpc.proto'), 'service GRPCInferenceService');
  t.end();
});

t.test('the image has every file of the page where the service looks for it', (t) => {
  const copied = [...read('Dockerfile').matchAll(/^COPY (\S+) (\S+)$/gm)].filter(([, from, to]) => from === to);
  const kept = [...read('.dockerignore').matchAll(/^!(\S+)$/gm)].map((m) => m[1] as string);
  for (const { file } of Object.values(PAGE_FILES)) {
    t.ok(
      copied.some(([, folder]) => file.startsWith(`${folder}/`)),
      `${file} in the Dockerfile`,
    );
    t.ok(
      kept.some((folder) => file.startsWith(`${folder}/`)),
      `${file} in .dockerignore`,
    );
  }
  t.end();
});
