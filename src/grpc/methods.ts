/** The calls of the Open Inference Protocol over gRPC: the same service as under /v2. */
import type { ServerUnaryCall, sendUnaryData, UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Scored } from '../classify.js';
import { DimmerError } from '../errors.js';
import type { Instance } from '../family/instance.js';
import type { Service, State } from '../http/state.js';
import { indexOf, metadataOf, SERVER, servedOf, statisticsOf } from '../oip/models.js';
import { type Call, callOf } from './call.js';
import { type ModelInferRequest, readMessage, responseOf } from './message.js';

/** A message of ModelInfer, or why it is refused: an error while decoding would end the call without its words. */
export type Received = { readonly request: ModelInferRequest } | { readonly refusal: DimmerError };

/** How a request names a model. */
interface NamedModel {
  readonly name: string;
  readonly version: string;
}

/** An empty text of protobuf is a missing one. */
const named = ({ name, version }: NamedModel) => ({ name, version: version || undefined });

export function methods(state: State): UntypedServiceImplementation {
  return {
    ServerLive: unary(() => ({ live: true })),
    ServerReady: unary(() => ({ ready: isReady(state) })),
    ServerMetadata: unary(() => SERVER),
    ModelReady: unary((request: NamedModel) => {
      if (!isReady(state)) return { ready: false };
      servedOf(state.service, named(request));
      return { ready: true };
    }),
    ModelMetadata: unary((request: NamedModel) => metadataOf(servedOf(state.service, named(request)))),
    ModelStatistics: unary((request: NamedModel) =>
      statisticsOf(state.service, request.name === '' ? undefined : named(request)),
    ),
    RepositoryIndex: unary(() => ({ models: indexOf(state.service) })),
    ModelInfer: (grpc: ServerUnaryCall<Received, object>, send: sendUnaryData<object>) => {
      const call = callOf(grpc.metadata);
      infer(grpc.request, call).then(
        (message) => message && send(null, message),
        (error) => call.refuse(error),
      );
    },
  };
}

/** Whether the service takes requests; not while it starts or drains. */
export function isReady(state: State): boolean {
  try {
    state.assertStaysReady();
    return true;
  } catch (error) {
    if (error instanceof DimmerError) return false;
    throw error;
  }
}

/** A call that is answered at once. */
const unary =
  <T>(answer: (request: T) => object) =>
  (grpc: ServerUnaryCall<T, object>, send: sendUnaryData<object>) => {
    const call = callOf(grpc.metadata);
    try {
      const message = answer(grpc.request);
      if (call.answered()) send(null, message);
    } catch (error) {
      call.refuse(error);
    }
  };

/** Classifies the pictures of a message. Returns the answer; undefined if nobody waits for it any more. */
async function infer(received: Received, call: Call): Promise<object | undefined> {
  const { state, upload } = call;
  const service = call.service as Service;
  let scored: Scored;
  let asked: ReturnType<typeof readMessage>;
  let id: string;
  try {
    if ('refusal' in received) throw received.refusal;
    const { request } = received;
    id = request.id;
    const model = servedOf(service, { name: request.model_name, version: request.model_version || undefined });
    asked = readMessage(request, state.config);
    const { pictures: images, parameters } = asked;
    if (asked.copied) upload.becomes(images.reduce((sum, image) => sum + image.length, 0));
    const { readMs: startMs } = upload;
    call.ask = service.classifier.judge({
      budget: call.budgetText,
      parameters,
      deadlineMs: call.leftMs(startMs),
      trace: call.trace,
      model: model.family.name,
      top: 1,
    });
    const decoded = () => {
      images.length = 0; // else the encoded pictures would stay in memory until the answer
      upload.release();
    };
    const ran = (instance: Instance) => call.ran(instance);
    scored = await service.classifier.score(call.ask, {
      images,
      startMs,
      signal: call.signal,
      decoded,
      ran,
      trace: call.trace,
    });
  } finally {
    upload.release();
  }
  if (!call.answered(call.ask, scored.answer)) return undefined;
  return responseOf(scored, call.ask.served.family.labels, asked.wanted, id);
}
