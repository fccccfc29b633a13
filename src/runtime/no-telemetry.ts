// onnxruntime >= 1.29 reports usage over the network unless this variable is set. It has to be set in the main thread
// before the first worker starts: a worker's process.env is a copy, which native code does not see.
process.env.ORT_DISABLE_TELEMETRY = '1';
