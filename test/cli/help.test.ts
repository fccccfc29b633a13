/** What the command line says of itself, and of commands that are typed wrongly. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { makeProgram } from '../../src/cli/program.js';
import { terminal } from '../../src/cli/terminal.js';
import { configSchema, SECRET } from '../../src/config.js';
import { dimmer } from './support.js';

const COMMANDS = ['serve', 'models', 'classify', 'bench'];
const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const { version, bin } = JSON.parse(read('package.json')) as { version: string; bin: Record<string, string> };

t.test('help is enough to work with: what it does, every option, examples, exit statuses', async (t) => {
  for (const args of [['--help'], ...COMMANDS.map((command) => [command, '--help'])]) {
    const { status, out, err } = await dimmer(args);
    t.equal(status, 0, args.join(' '));
    t.equal(err, '');
    t.match(out, /^Usage: dimmer/);
    t.match(out, /\nExamples:\n {2}dimmer /);
    t.match(out, /\nExit status:\n {2}0 .*\n {2}1 .*\n {2}2 /);
    t.match(out, '--help');
    t.match(out, '--version');
  }
});

t.test('each command says its own', async (t) => {
  const expected: Record<string, readonly (string | RegExp)[]> = {
    serve: ['--port <value>', '--models <value>', '[MODELS_DIR]', /JSON lines on stdout/],
    models: ['--url <url>', '--models <folder>', '--json', '--key <key>', 'DIMMER_API_KEY'],
    classify: [
      '--cost',
      '--flops',
      '--latency',
      '--accuracy',
      '--not-strict',
      '--instance',
      '--top',
      '<files...>',
      '--json',
    ],
    bench: ['--rate', '--seconds', '--latency', '--data', '--seed', '--goal-in-time', '--goal-p99', '<url>', '--json'],
  };
  for (const command of COMMANDS) {
    const text = (await dimmer(['help', command])).out.replace(/\s+/g, ' '); // as lines may be broken anywhere
    for (const part of expected[command] ?? []) t.match(text, part, `${command}: ${part}`);
  }
});

t.test('serve has an option for every setting, and none for a secret', async (t) => {
  const { out } = await dimmer(['serve', '--help']);
  const text = out.replace(/\s+/g, ' ');
  for (const key of Object.keys(configSchema.shape)) {
    const shown = text.includes(`[${key}]`);
    t.equal(shown, !SECRET.has(key), key);
  }
  t.match(text, `${[...SECRET].join(', ')}: only as a variable`);
});

t.test('docs/cli.md names every option of every command but the settings, which .env.example has', (t) => {
  const docs = read('docs/cli.md');
  const program = makeProgram({ terminal: terminal(), end: () => {} });
  const options = program.commands.filter((c) => c.name() !== 'serve').flatMap((c) => c.options.map((o) => o.long));
  t.ok(options.length > 20);
  for (const option of options) t.ok(docs.includes(`${option}`), `${option}`);
  for (const command of COMMANDS) t.match(docs, `dimmer ${command}`);
  t.end();
});

t.test('the version is that of the package, for all commands', async (t) => {
  for (const args of [['--version'], ['-V'], ...COMMANDS.map((command) => [command, '--version'])]) {
    t.same(await dimmer(args), { status: 0, out: `${version}\n`, err: '' }, args.join(' '));
  }
});

t.test('what is typed wrongly is status 2, and says what was expected', async (t) => {
  const cases: [string[], RegExp][] = [
    [[], /Usage: dimmer/],
    [['clasify', 'a.jpg'], /unknown command 'clasify'\n\(Did you mean classify\?\)/],
    [['classify'], /missing required argument 'files'/],
    [['classify', '--cots', '1', 'a.jpg'], /unknown option '--cots'\n\(Did you mean --cost\?\)/],
    [['classify', '--cost', '2', 'a.jpg'], /'--cost <share>' argument '2' is invalid. Expected a share in \(0, 1\]/],
    [['classify', '--cost', '0.5, latency=3', 'a.jpg'], /Expected a number in decimal digits/],
    [['classify', '--cost', '0.1234', 'a.jpg'], /at most three digits after the point/],
    [['classify', '--flops', '1.5', 'a.jpg'], /Expected a whole number of FLOPs/],
    [['classify', '--latency', '0', 'a.jpg'], /Expected milliseconds above 0/],
    [['classify', '--top', '0', 'a.jpg'], /Expected a whole number from 1 to 1000/],
    [['classify', '--url', 'ftp://localhost', 'a.jpg'], /Expected the address of a service/],
    [['classify', '--url', 'http://me:secret@localhost', 'a.jpg'], /no password in the address/],
    [
      ['classify', '--url', 'localhost:1', '--models', 'm', 'a.jpg'],
      /'--models <folder>' cannot be used with option '--url/,
    ],
    [['models', 'extra'], /too many arguments/],
    [['models', '--models', 'm', '--url', 'localhost:1'], /cannot be used with/],
    [['bench', 'localhost:1', '--seconds', '1'], /required option '--rate <n>' not specified/],
    [['bench', 'localhost:1', '--rate', '-5', '--seconds', '1'], /Expected a number above 0/],
    [['bench', '--rate', '5', '--seconds', '1'], /missing required argument 'url'/],
    [['bench', 'localhost:1', '--rate', '5', '--seconds', '1', '--goal-in-time', '99'], /up to 1/],
    [
      ['serve', '--port', 'eighty'],
      /'--port <value>' argument 'eighty' is invalid. expected a whole number from 0 to 65535/,
    ],
    [['serve', '--api-keys', 'x'.repeat(16)], /unknown option '--api-keys'/],
  ];
  for (const [args, message] of cases) {
    const { status, out, err } = await dimmer(args);
    t.equal(status, 2, args.join(' '));
    t.equal(out, '', 'nothing on stdout');
    t.match(err, message);
  }
});

t.test('settings that cannot be used are status 2 as well, from an option or a variable', async (t) => {
  const [byVariable, together] = [{ ENGINE_THREADS: 'two' }, { ONNX_THREADS: '1000' }];
  t.match(await dimmer(['serve'], byVariable), {
    status: 2,
    err: /^error: the environment cannot be used:\nENGINE_THREADS=two/,
  });
  t.match(await dimmer(['serve', '--engine-threads', '1000'], together), {
    status: 2,
    err: /ENGINE_THREADS=1000 x ONNX_THREADS=1000/,
  });
  t.match(await dimmer(['classify', 'a.jpg'], byVariable), { status: 2, err: /the environment/ }, 'in process as well');
});

t.test('a key that no header can carry is refused and not shown', async (t) => {
  const { status, err } = await dimmer(['models', '--url', 'localhost:1'], { DIMMER_API_KEY: 'top secret\n' });
  t.equal(status, 2);
  t.match(err, /DIMMER_API_KEY has characters/);
  t.notMatch(err, 'top secret');
  for (const key of ['top secret', '']) {
    const said = await dimmer(['models', '--url', 'localhost:1', `--key=${key}`]);
    t.match(said, { status: 2, err: /--key has characters/ });
    t.notMatch(said.err, 'top secret');
  }
});

t.test('the package and the image have the command', (t) => {
  t.same(bin, { dimmer: 'dist/cli.js' });
  t.match(read('src/cli.ts'), /^#!\/usr\/bin\/env -S node /);
  t.match(read('Dockerfile'), `ln -s /app/${bin.dimmer} /usr/local/bin/dimmer`);
  t.match(read('Dockerfile'), /^RUN npm run build$/m);
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  t.match(scripts.build, 'chmod +x dist/cli.js', 'which the link in the image needs');
  t.end();
});

t.test('the service has the same flags of node, however it is started', (t) => {
  const flags = (text: string) =>
    [...text.matchAll(/--(?:single-threaded-gc|initial-old-space-size=\d+)/g)].map((m) => m[0]);
  const ofService = flags(/^CMD .*$/m.exec(read('Dockerfile'))?.[0] ?? '');
  t.equal(ofService.length, 2);
  t.same(flags(read('src/cli.ts').split('\n')[0] ?? ''), ofService);
  t.same(flags(/"start": .*/.exec(read('package.json'))?.[0] ?? ''), ofService);
  t.end();
});
