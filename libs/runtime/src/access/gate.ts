import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import type { Clock } from '../clock.ts';
import { type Logger, Throttle } from '../log/logger.ts';
import { certificateOf } from '../tls/certificate-name.ts';
import {
  bearerToken,
  type Caller,
  hostOfPeer,
  noteCaller,
  type PassedOnCaller,
  takePassedOn,
} from './passed-on-caller.ts';

/** Why a call is not let in: a sentence for its caller. */
export interface Refusal {
  readonly code: status.UNAUTHENTICATED | status.PERMISSION_DENIED;
  readonly details: string;
}

export type { Caller } from './passed-on-caller.ts';

/** A call at the gate: who is connected, and for whom he calls. */
export interface GateCaller extends Caller {
  /** The caller at the process that passes the call on; null, or not there: the caller is the process or user connected here. */
  readonly onBehalf?: PassedOnCaller | null;
}

/** Header under which handlers find who makes the call, for logs; whatever the caller himself has put there is taken out. */
export const USER_HEADER = 'spanmesh-user';

/** Decides about a call of a method (`/package.Service/Method`): null: let in. */
export type Gate = (path: string, caller: GateCaller) => Refusal | null;

/** The same caller's refusals, those of a user or else of a host, are logged once in this time, ms. */
export const REFUSAL_LOG_INTERVAL_MS = 10_000;

export interface GateDependencies {
  readonly gate: Gate;
  /** The caller's name, for people; null: none is known. Default: nobody has one. */
  readonly userOf?: (caller: GateCaller) => string | null;
  /** Other services pass calls of their users on to this port, and say who those are. Default: nobody is believed that. */
  readonly takesPassedOn?: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for each refusal. */
  readonly refused: () => void;
}

/** A gRPC server interceptor that asks a gate about every call before its first message is read. */
export function gateInterceptor({
  gate,
  userOf = () => null,
  takesPassedOn = false,
  clock,
  logger,
  refused,
}: GateDependencies): ServerInterceptor {
  const throttle = new Throttle({ intervalMs: REFUSAL_LOG_INTERVAL_MS }, { clock });
  const refuse = (path: string, call: ServerInterceptingCallInterface, user: string | null, refusal: Refusal): void => {
    refused();
    // By host: the port of a connection tells nobody anything, and would let one host fill the table.
    const peer = hostOfPeer(call.getPeer());
    // Behind a proxy all users come from one host: the refusals of one do not hide those of another.
    const { log, suppressed } = throttle.admit(user === null ? peer : `user ${user}`);
    if (log) {
      const who = { peer, ...(user !== null && { user }) };
      logger.warn(
        { ...who, method: path, code: status[refusal.code], why: refusal.details, suppressed },
        'call refused',
      );
    }
    call.sendStatus(refusal);
  };
  return ({ path }, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, take) => {
            const passedOn = takePassedOn(metadata);
            const onBehalf = takesPassedOn ? passedOn : null;
            const caller = { certificate: certificateOf(call), token: tokenOf(metadata), onBehalf };
            const refusal = gate(path, caller);
            const user = userOf(caller);
            const own = { ...caller, address: hostOfPeer(call.getPeer()), isService: takesPassedOn };
            noteCaller(metadata, onBehalf ?? own);
            if (refusal === null) take(named(metadata, user));
            else refuse(path, call, user, refusal);
          },
        }),
    });
}

/** Handlers do not get to see it: what they log cannot hold it. */
function tokenOf(metadata: Metadata): string | null {
  const [value] = metadata.get('authorization');
  metadata.remove('authorization');
  return bearerToken(value);
}

/** The subject of a certificate may hold what a header may not. */
function named(metadata: Metadata, user: string | null): Metadata {
  metadata.remove(USER_HEADER);
  if (user !== null) metadata.set(USER_HEADER, user.replace(/[^\x20-\x7e]/g, '?'));
  return metadata;
}
