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

/** Calls between services that are traced besides those of the API. The streams that never end are not. */
const TRACED_BETWEEN: ReadonlySet<string> = new Set(['/spanmesh.v1.Dial/Dial', '/spanmesh.v1.Dial/Hangup']);
const API = '/spanmesh.';

/** The contexts of the steps for calls, by the calls' headers. */
const contexts = new WeakMap<Metadata, Uint8Array>();

/** For handlers: the context of the step for the call with these headers; null: the call is not traced. */
export function traceOf(metadata: Metadata): Uint8Array | null {
  return contexts.get(metadata) ?? null;
}

/**
 * A server interceptor that makes each call of the API a step of a trace: of the caller's trace, if the call carries
 * one. It puts nothing between a call and its messages.
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

/** Observes only the beginning and the end of the call, by wrapping its listeners: messages pass as before. */
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
