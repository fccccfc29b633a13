/** Keeps CONNECTIONS requests with one picture in flight until the process is killed: load.ts URL FILE CONNECTIONS */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';

const [url = '', file = '', connections = '1'] = process.argv.slice(2);
const picture = readFileSync(file);
const agent = new Agent({ keepAlive: true });

/** Resolves after any answer: how many pictures were classified is read from the service's metrics. */
function post(): Promise<void> {
  return new Promise((resolve) => {
    const options = { method: 'POST', agent, headers: { 'Content-Length': picture.length } };
    request(`${url}/classify`, options, (response) => response.resume().once('end', resolve))
      .once('error', () => setTimeout(resolve, 10))
      .end(picture);
  });
}

async function keepPosting(): Promise<never> {
  for (;;) await post();
}

await Promise.all(Array.from({ length: Number(connections) }, keepPosting));
