/**
 * Mutation testing of the pure parts, by hand: `npm run mutation -- --out bench/results/mutation.json`. It changes the
 * code in one place after another and runs the tests that reach the place; a change that no test notices survives. Only
 * tests of pure parts run, about a second each: those of the whole service would take hours for some 1,300 changes.
 */
export default {
  mutate: [
    'src/router/*.ts',
    'src/plan/*.ts',
    'src/latency/*.ts',
    'src/engine/{softmax,batch,twins}.ts',
    'src/image/{enlarge,cut}.ts',
    'src/scheduler/{order,refusals,cpus,margin}.ts',
    'src/family/{instance,served}.ts',
    'src/http/problem.ts',
    'src/get-or-insert.ts',
  ],
  // Compiled once, with all changes in it and one of them switched on in each run: a test file then takes 0.3 s of CPU
  // and not 0.7. What types say of the changed code is no matter.
  buildCommand: 'tsc --noEmit false --noCheck --outDir built --rootDir .',
  testRunner: 'tap',
  tap: {
    testFiles: [
      'built/test/router/*.test.js',
      'built/test/plan/*.test.js',
      'built/test/latency/*.test.js',
      'built/test/engine/*.test.js',
      'built/test/image/{axis,cut}.test.js',
      'built/test/scheduler/{order,refusals,cpus,margin}.test.js',
      'built/test/family/served.test.js',
      'built/test/http/problem.test.js',
      'built/test/get-or-insert.test.js',
    ],
    nodeArgs: ['-r', '{{hookFile}}', '{{testFile}}'],
  },
  // One test file at a time, of those that reach the place: a developer's machine stays usable.
  coverageAnalysis: 'perTest',
  concurrency: 1,
  // On a busy host a slow start is no endless loop: with the default, 5 s, it would count as noticed.
  timeoutMS: 20_000,
  reporters: ['json', 'progress-append-only'],
  jsonReporter: { fileName: '.cache/mutation/report.json' },
  tempDirName: '.cache/mutation/sandbox',
  ignorePatterns: ['/.cache', '/models', '/training', '/data', '/dist', '/deploy', '/bench/results', '/bench/reference'],
};
