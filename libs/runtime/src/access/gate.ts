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

/** Why a call is refused: a status and a sentence for the caller. */
export interface Refusal {
  readonly code: status.UNAUTHENTICATED | status.PERMISSION_DENIED;
  readonly details: string;
}

export type { Caller } from './passed-on-caller.ts';

/**
 * A call at the gate: the process or user at the other end of the connection, and the caller for whom a call is passed
 * on.
 */
export interface GateCaller extends Caller {
  /**
   * The caller at the process that passes the call on. Null or missing: the other end of the connection calls for
   * itself.
   */
  readonly onBehalf?: PassedOnCaller | null;
}

/** Header with the caller's name, for the logs of handlers. A value that the caller has sent is removed. */
export const USER_HEADER = 'spanmesh-user';

/** Decides whether a call of a method (`/package.Service/Method`) is let in. Null: yes. */
export type Gate = (path: string, caller: GateCaller) => Refusal | null;

/** Refusals of the same user, or of the same host if no user is known, are logged once in this time, ms. */
export const REFUSAL_LOG_INTERVAL_MS = 10_000;

export interface GateDependencies {
  readonly gate: Gate;
  /** The caller's name, for people; null: unknown. Default: no caller has a name. */
  readonly userOf?: (caller: GateCaller) => string | null;
  /**
   * Whether other services pass calls of their users on to this port, and say whose. Default: such headers are ignored.
   */
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
    // Limited by host, not by port: the port of a connection identifies nobody, and would let one host fill the table.
    const peer = hostOfPeer(call.getPeer());
    // Behind a proxy all users come from one host: refusals of one user must not hide those of another.
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

/** The bearer token. It is removed from the headers, so that no handler can log it. */
function tokenOf(metadata: Metadata): string | null {
  const [value] = metadata.get('authorization');
  metadata.remove('authorization');
  return bearerToken(value);
}

/** The headers with the user's name. A certificate's subject may hold characters that a header may not. */
function named(metadata: Metadata, user: string | null): Metadata {
  metadata.remove(USER_HEADER);
  if (user !== null) metadata.set(USER_HEADER, user.replace(/[^\x20-\x7e]/g, '?'));
  return metadata;
}
