import type { EventEmitter } from 'node:events';
import {
  type MethodDefinition,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { sizedMethod } from './request-pace.ts';

/** Called when a stream had a fault: in which method, and at what. */
export type StreamFault = (error: unknown, method: string, what: 'message-not-encoded' | 'handler-threw') => void;

type Handler = UntypedServiceImplementation[string];
type Listener = (...args: unknown[]) => void;

/**
 * The service, changed so that a bad message ends its stream (INTERNAL) and never the process: a message that cannot be
 * encoded, or one on which a listener of the stream throws. grpc-js ignores the first fault silently, and does not
 * catch the second. The sizes of large requests are noted.
 */
export function guardedService(
  definition: ServiceDefinition,
  implementation: UntypedServiceImplementation,
  fault: StreamFault,
): { definition: ServiceDefinition; implementation: UntypedServiceImplementation } {
  const methods: Record<string, MethodDefinition<unknown, unknown>> = {};
  const handlers: UntypedServiceImplementation = { ...implementation };
  for (const [name, method] of Object.entries(definition)) {
    methods[name] = {
      ...(method.requestStream ? method : sizedMethod(method)),
      responseSerialize(response) {
        try {
          return method.responseSerialize(response);
        } catch (error) {
          fault(error, method.path, 'message-not-encoded');
          throw error;
        }
      },
    };
    const handler = implementation[name];
    if (handler === undefined || !(method.requestStream || method.responseStream)) continue;
    handlers[name] = ((call: EventEmitter, ...rest: unknown[]) => {
      guardListeners(call, (error) => fault(error, method.path, 'handler-threw'));
      return (handler as (...args: unknown[]) => unknown)(call, ...rest);
    }) as Handler;
  }
  return { definition: methods, implementation: handlers };
}

/** Has an exception of a listener end the call. To be called before any listener is added. */
function guardListeners(call: EventEmitter, fault: (error: unknown) => void): void {
  let failed = false;
  const guarded =
    (listener: Listener): Listener =>
    (...args) => {
      try {
        listener(...args);
      } catch (error) {
        fault(error);
        if (failed) return;
        failed = true;
        const details = 'The service failed to handle a message; its log says why.';
        call.emit('error', Object.assign(new Error(details), { code: status.INTERNAL, details }));
      }
    };
  for (const name of ['on', 'once'] as const) {
    const add = call[name].bind(call);
    call[name] = (event: string | symbol, listener: Listener) => {
      add(event, guarded(listener));
      return call;
    };
  }
}
