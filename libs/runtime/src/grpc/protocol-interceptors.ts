import {
  InterceptingCall,
  type Interceptor,
  ServerInterceptingCall,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import { SERVICE_CALLERS } from '../access/service-callers.ts';
import { PROTOCOL_VERSION, type ProtocolRule } from './protocol-version.ts';

/** Header of every call between services: the caller's version of the protocol. */
export const PROTOCOL_HEADER = 'spanmesh-protocol';
/**
 * Services whose own messages carry the version, with the names of both sides; so no interceptor slows their streams.
 */
const SAY_IT_THEMSELVES = new Set(['spanmesh.v1.GatewayControl', 'spanmesh.v1.Trunk']);
/** Beginning of the standard services' names: health checks are answered for every version. */
const STANDARD = 'grpc.';

/** Adds this process's version to every call. */
export function sayProtocol(version: number = PROTOCOL_VERSION): Interceptor {
  return (options, next) => {
    const call = next(options);
    if (SAY_IT_THEMSELVES.has(serviceOf(options.method_definition.path))) return new InterceptingCall(call);
    return new InterceptingCall(call, {
      start: (metadata, listener, begin) => {
        metadata.set(PROTOCOL_HEADER, String(version));
        begin(metadata, listener);
      },
    });
  };
}

/**
 * Refuses calls of services whose version is too far from ours. A call without the header counts as the first version.
 */
export function checkProtocol(rule: ProtocolRule): ServerInterceptor {
  return ({ path }, call) => {
    const service = serviceOf(path);
    if (service.startsWith(STANDARD) || SAY_IT_THEMSELVES.has(service)) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, take) => {
            const said = Number(metadata.get(PROTOCOL_HEADER)[0] ?? 0);
            const role = Object.hasOwn(SERVICE_CALLERS, service) ? service : 'other';
            const who = `the caller of ${role} at ${call.getPeer().replace(/:\d+$/, '')}`;
            const agreement = rule.check(Number.isSafeInteger(said) ? said : -1, { role, who });
            if (agreement.kind === 'agreed') take(metadata);
            else call.sendStatus({ code: status.UNIMPLEMENTED, details: agreement.why });
          },
        }),
    });
  };
}

/** `package.Service` of `/package.Service/Method`. */
function serviceOf(path: string): string {
  return path.split('/')[1] ?? '';
}
