// onnxruntime >= 1.29 reports usage over the network unless this is set, in the main thread, before the first
// worker starts: a worker's process.env is a copy, in which it has no effect.
process.env.ORT_DISABLE_TELEMETRY = '1';
