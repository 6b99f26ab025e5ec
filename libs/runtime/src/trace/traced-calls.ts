import {
  type Metadata,
  type ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import { METHOD_ROLES } from '../access/api-access.ts';
import type { Step } from './step.ts';
import { parseTraceparent, TRACE_HEADER } from './trace-context.ts';
import type { Tracing } from './tracing.ts';

/** Besides the API: what services ask of each other for a user, or of themselves. Not the streams that never end. */
const TRACED_BETWEEN: ReadonlySet<string> = new Set(['/spanmesh.v1.Dial/Dial', '/spanmesh.v1.Dial/Hangup']);
const API = '/spanmesh.';

/** Contexts of the steps that calls are, by the calls' headers. */
const contexts = new WeakMap<Metadata, Uint8Array>();

/** For handlers: the context of the step that the call with these headers is; null: it is not traced. */
export function traceOf(metadata: Metadata): Uint8Array | null {
  return contexts.get(metadata) ?? null;
}

/**
 * A server interceptor by which calls of the API are steps of a trace, of the caller's if he has one. Nothing of it is between a call
 * and its messages.
 */
export function traceCalls(tracing: Pick<Tracing, 'tracer'>): ServerInterceptor {
  return ({ path }, call) => {
    const { tracer } = tracing;
    const isTraced = TRACED_BETWEEN.has(path) || (METHOD_ROLES[path] !== undefined && path.startsWith(API));
    if (tracer === null || !isTraced) return call as ServerInterceptingCall;
    const [, service = '', method = ''] = path.split('/');
    watch(call, (metadata) => {
      const parent = parseTraceparent(metadata.get(TRACE_HEADER)[0]);
      const attributes = { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': method };
      const step = tracer.begin(path.slice(1), { parent, kind: 'server', attributes });
      contexts.set(metadata, step.context);
      return step;
    });
    return call as ServerInterceptingCall;
  };
}

/** Only the beginning and the end of the call are listened to, by changing what listens: messages take the way that they took. */
function watch(call: ServerInterceptingCallInterface, begin: (metadata: Metadata) => Step): void {
  let step: Step | null = null;
  const sendStatus = call.sendStatus.bind(call);
  call.sendStatus = (sent) => {
    const code = sent.code ?? status.UNKNOWN;
    step?.end(code === status.OK ? undefined : `${status[code]}: ${sent.details ?? ''}`);
    sendStatus(sent);
  };
  const start = call.start.bind(call);
  call.start = (listener) => {
    const onReceiveMetadata = listener.onReceiveMetadata.bind(listener);
    listener.onReceiveMetadata = (metadata) => {
      step = begin(metadata);
      onReceiveMetadata(metadata);
    };
    const onCancel = listener.onCancel.bind(listener);
    listener.onCancel = () => {
      step?.end(status[status.CANCELLED]);
      onCancel();
    };
    start(listener);
  };
}
