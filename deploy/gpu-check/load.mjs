/**
 * Sends one picture again and again in a closed loop: node load.mjs TOOLS PICTURE URL CONNECTIONS SECONDS
 *
 * TOOLS: folder with autocannon. Its API is used because its command reads the body as text, which damages a picture.
 * The output is JSON.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [tools, picture, url, connections, seconds] = process.argv.slice(2);
const autocannon = createRequire(join(tools, 'package.json'))('autocannon');
const result = await autocannon({
  url,
  method: 'POST',
  body: readFileSync(picture),
  connections: Number(connections),
  duration: Number(seconds),
});
const { requests, latency, non2xx, errors } = result;
console.log(JSON.stringify({ requests, latency, non2xx, errors }));
