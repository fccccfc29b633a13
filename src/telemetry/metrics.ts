/** All Prometheus metrics of the service: names, help texts, labels and buckets. */
import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type OpenMetricsContentType,
  type PrometheusContentType,
  Registry,
} from 'prom-client';

/** Buckets of durations, in seconds. */
const SECONDS = [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1, 2, 4];

export type Metrics = ReturnType<typeof createMetrics>;

/** ofProcess: adds metrics of the whole process. Only once in a process, because their observers never end. */
export function createMetrics({ ofProcess }: { ofProcess: boolean }) {
  const registry = new Registry<OpenMetricsContentType>();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE); // prom-client demands it for exemplars
  if (ofProcess) collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const stage = (name: string, help: string, labelNames: string[]) =>
    new Histogram({ name: `dimmer_${name}_seconds`, help, labelNames, buckets: SECONDS, registers });
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name: `dimmer_${name}_total`, help, labelNames, registers });
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `dimmer_${name}`, help, labelNames, registers });
  return {
    registry,
    requests: counter(
      'requests',
      'Requests that classify, by HTTP status and reason (ok, or the code of the problem)',
      ['status', 'reason'],
    ),
    clientRequests: counter(
      'client_requests',
      'Requests to run pictures, refused ones as well, by the name of the API key',
      ['key'],
    ),
    clientFlops: counter('client_flops', 'FLOPs of what ran, answered or not, by the name of the API key', ['key']),
    pictures: counter('pictures', 'Pictures answered', ['model', 'instance']),
    decode: stage('decode', 'Decoding and resizing of a picture', ['model']),
    queue: stage('queue', 'Time in the queue, before and after decoding', ['model', 'instance']),
    inference: stage('inference', 'From handing a batch to an engine thread to its logits', ['model', 'instance']),
    total: new Histogram({
      name: 'dimmer_total_seconds',
      help: 'From the last body byte of a request to its answer',
      labelNames: ['model', 'instance'],
      buckets: SECONDS,
      registers,
      enableExemplars: true,
    }),
    batchSize: new Histogram({
      name: 'dimmer_batch_size_pictures',
      help: 'Size of the batch a picture ran in',
      labelNames: ['model', 'instance'],
      buckets: [1, 2, 4, 8, 16, 32, 64], // the same on every device; a CPU uses the first four
      registers,
    }),
    accuracy: counter(
      'delivered_accuracy_sum',
      'Sum of the accuracy of the instances used, over pictures; divided by their number it is the delivered accuracy',
      ['model'],
    ),
    cost: counter(
      'delivered_cost_sum',
      'Sum of the shares of the full FLOPs spent, over pictures; divided by their number it is the delivered cost',
      ['model'],
    ),
    flops: counter('delivered_flops', 'FLOPs spent on answered pictures', ['model']),
    promises: counter('promises', 'Answered requests with a latency in their budget, by whether it was kept', [
      'model',
      'kept',
      'strict',
    ]),
    shadows: counter('shadows', 'Cheap answers run again on full (SHADOW_SHARE), by whether it names the same label', [
      'model',
      'instance',
      'agreed',
    ]),
    agreement: gauge('agreement_ratio', 'Share of shadow runs in which full has the same most probable label', [
      'model',
      'instance',
    ]),
    queued: gauge('queue_pictures', 'Pictures admitted and not running'),
    waitingBytes: gauge('waiting_bytes', 'Bytes of request bodies held'),
    threads: gauge('engine_threads', 'Engine threads alive', ['device']),
    threadEvents: counter('engine_thread_events', 'Engine threads that died, were replaced, or could not be', [
      'event',
    ]),
    decoderEvents: counter('decoder_events', 'Decoding processes that died, were stopped, or could not be started', [
      'event',
    ]),
    spans: counter(
      'trace_spans',
      'Spans of traces: sent, dropped because too many waited, or failed because the collector did not take them',
      ['event'],
    ),
    ready: gauge('ready', '1 if the service is ready'),
    memory: gauge('memory_pss_bytes', 'Proportional set size of this process: shared memory counts in part'),
    weights: gauge('weights_bytes', 'Size of the weights and graphs that instances share; 0 if not shared', ['model']),
    familyChanges: counter(
      'family_changes',
      'Families that were served, refused or removed while the service ran (MODELS_WATCH, or load and unload)',
      ['event'],
    ),
    model: gauge('model_info', 'Families served', ['model', 'version']),
  };
}

export type MetricsFormat = OpenMetricsContentType | PrometheusContentType;

/**
 * The text of all metrics in a format; only OpenMetrics has exemplars. For that one prom-client renames counters, for
 * ever and without `_total`, which the other needs. So each text is made of objects derived from the metrics.
 */
export function textOf(registry: Registry<OpenMetricsContentType>, format: MetricsFormat): Promise<string> {
  const view = new Registry<MetricsFormat>();
  view.setContentType(format);
  for (const metric of registry.getMetricsAsArray()) view.registerMetric(Object.create(metric));
  return view.metrics();
}
