/**
 * Settings of traces. They are those of the OpenTelemetry specification, so that what is set for all services of a host
 * holds for this one, too: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 */
import { z } from 'zod';
import { share } from './config-values.js';

/** Names of the specification. `parentbased_`: a request that belongs to a trace follows the decision of its sender. */
const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

/** Address of a collector. Not with a password in it, as the log shows settings. */
const address = z
  .url({ protocol: /^https?$/, error: 'expected a URL such as http://localhost:4318' })
  .refine((text) => !URL.canParse(text) || new URL(text).username + new URL(text).password === '', {
    error: 'expected no password in the URL; keys belong into OTEL_EXPORTER_OTLP_HEADERS',
  });

export const tracingSettings = {
  OTEL_EXPORTER_OTLP_ENDPOINT: address
    .optional()
    .describe(
      'base URL of an OpenTelemetry collector, such as http://localhost:4318, to which traces are sent (OTLP over HTTP, path /v1/traces); unset: no traces (docs/tracing.md)',
    ),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: address
    .optional()
    .describe('URL to which traces are sent, as it is, in place of OTEL_EXPORTER_OTLP_ENDPOINT'),
  OTEL_EXPORTER_OTLP_PROTOCOL: z
    .enum(['http/protobuf'])
    .default('http/protobuf')
    .describe('how traces are sent; a collector takes it at port 4318, where 4317 is gRPC'),
  OTEL_EXPORTER_OTLP_HEADERS: z
    .string()
    .default('')
    .describe('headers for the collector, such as its key: name=value,name=value'),
  OTEL_SERVICE_NAME: z.string().min(1).optional().describe('service.name of the traces; default: dimmer'),
  OTEL_TRACES_SAMPLER: z
    .enum(SAMPLERS)
    .default('parentbased_always_on')
    .describe(
      'which requests are traced. always_on, always_off: all, none. traceidratio: the share OTEL_TRACES_SAMPLER_ARG. With parentbased_ a request whose traceparent says whether it is traced is treated like that, so clients can have all of theirs traced',
    ),
  OTEL_TRACES_SAMPLER_ARG: share
    .default(1)
    .describe('share of requests that are traced, for traceidratio; too high costs CPU and what the collector charges'),
  OTEL_TRACES_EXPORTER: z.enum(['otlp', 'none']).default('otlp').describe('none: no traces'),
  OTEL_SDK_DISABLED: z.enum(['true', 'false']).default('false').describe('true: no traces'),
};

type Settings = Readonly<z.infer<z.ZodObject<typeof tracingSettings>>>;

/** Where traces are sent; undefined if they are not. */
export function tracesUrl(settings: Settings): string | undefined {
  if (settings.OTEL_SDK_DISABLED === 'true' || settings.OTEL_TRACES_EXPORTER === 'none') return undefined;
  const base = settings.OTEL_EXPORTER_OTLP_ENDPOINT?.replace(/\/$/, '');
  return settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base === undefined ? undefined : `${base}/v1/traces`);
}
