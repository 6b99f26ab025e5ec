import {
  InterceptingCall,
  type Interceptor,
  ServerInterceptingCall,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import { SERVICE_CALLERS } from '../access/service-callers.ts';
import { PROTOCOL_VERSION, type ProtocolRule } from './protocol-version.ts';

/** Header of every call between services: the version of the protocol that the caller speaks. */
export const PROTOCOL_HEADER = 'spanmesh-protocol';
/** These say it in their own messages, with the names of both; and their streams are not slowed by an interceptor. */
const SAY_IT_THEMSELVES = new Set(['spanmesh.v1.GatewayControl', 'spanmesh.v1.Trunk']);
/** Health checks are answered whatever version the caller speaks. */
const STANDARD = 'grpc.';

/** Says on every call which version this process speaks. */
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

/** Refuses calls of services whose version is too far from ours. Without the header it is the first version. */
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
