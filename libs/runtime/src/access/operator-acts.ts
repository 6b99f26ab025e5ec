import { timingSafeEqual } from 'node:crypto';
import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import { EventKind } from '@spanmesh/proto/v1/events';
import { type NodeSelector, OpenRouteRequest } from '@spanmesh/proto/v1/messaging';
import { InspectRequest, SetLogLevelRequest } from '@spanmesh/proto/v1/process';
import { CaptureConnectionRequest, CloseConnectionRequest, DrainGatewayRequest } from '@spanmesh/proto/v1/topology';
import { RemoveTargetRequest, SetTargetRequest } from '@spanmesh/proto/v1/volconf';
import type { EventTeller } from '../events/event-teller.ts';
import { USER_HEADER } from './gate.ts';

/**
 * Header in which the console names the host for which it calls, behind a key that it shares with the API of its
 * process.
 */
export const CONSOLE_HEADER = 'spanmesh-console';

/** What an act is about, and its details in words. It holds nothing of a payload, and no secret. */
interface Act {
  readonly subject: string;
  readonly what: string;
}

/** The methods by which an operator acts, and how each one's request is described. */
const ACTS: ReadonlyMap<string, (request: unknown) => Act> = new Map<string, (request: unknown) => Act>([
  act('Topology/DrainGateway', DrainGatewayRequest, ({ gateway, share }) => ({
    subject: gateway,
    what: `${Math.round(share * 100)} % of its connections`,
  })),
  act('Topology/CloseConnection', CloseConnectionRequest, ({ connection, reason }) => ({
    subject: connection,
    what: reason === '' ? '' : `reason: ${reason}`,
  })),
  act('Topology/CaptureConnection', CaptureConnectionRequest, ({ connection }) => ({ subject: connection, what: '' })),
  act('Volconf/SetTarget', SetTargetRequest, ({ name, path }) => ({ subject: name, what: path })),
  act('Volconf/RemoveTarget', RemoveTargetRequest, ({ name }) => ({ subject: name, what: '' })),
  act('Process/SetLogLevel', SetLogLevelRequest, ({ level, service, process }) => ({
    subject: process || service || 'all processes',
    what: level || 'as the settings say',
  })),
  act('Process/Inspect', InspectRequest, ({ process }) => ({ subject: process || 'all processes', what: '' })),
  act('Messaging/OpenRoute', OpenRouteRequest, ({ open }) => ({ subject: nodeWords(open?.node), what: '' })),
]);

export interface OperatorActsDependencies {
  readonly events: EventTeller;
  /** Whether the API asks who its callers are: otherwise the header with the name proves nothing. */
  readonly asksForUsers: boolean;
  /** The key by which the API recognises the console of its own process. */
  readonly consoleKey: string;
}

/**
 * Reports each order that an operator gives at this API: who, from where, what, and, if it was refused, why. It runs
 * inside the gate, so calls that the gate refuses are not reported. Calls that only read pass unchanged.
 */
export function operatorActs(deps: OperatorActsDependencies): ServerInterceptor {
  return ({ path }, call) => {
    const describe = ACTS.get(path);
    // The library's type asks for its own class, but it uses only the interface.
    return describe === undefined ? (call as ServerInterceptingCall) : toldCall(call, path, describe, deps);
  };
}

function toldCall(
  call: ServerInterceptingCallInterface,
  path: string,
  describe: (request: unknown) => Act,
  { events, asksForUsers, consoleKey }: OperatorActsDependencies,
): ServerInterceptingCall {
  let caller = { who: '', from: '', byConsole: false };
  let given: Act | null = null;
  let isTold = false;
  const tell = (error: string): void => {
    if (isTold || given === null) return;
    isTold = true;
    const { subject, what } = given;
    const method = path.slice(path.lastIndexOf('.') + 1);
    const principal = `${caller.who === '' ? caller.from : caller.who} ${method}`;
    const operator = { ...caller, method, what, error };
    events.tell({ kind: EventKind.EVENT_KIND_OPERATOR_ACT, subject, principal, operator });
  };
  return new ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMetadata: (metadata, take) => {
          caller = callerOf(metadata, call.getPeer(), { asksForUsers, consoleKey });
          take(metadata);
        },
        onReceiveMessage: (message, take) => {
          given ??= describe(message);
          take(message);
        },
        onCancel: () => tell('the caller has gone before it was answered'),
      }),
    sendMessage: (message, next) => {
      tell('');
      next(message);
    },
    sendStatus: (sent, next) => {
      tell(sent.code === status.OK ? '' : (sent.details ?? status[sent.code ?? status.UNKNOWN] ?? 'it has failed'));
      next(sent);
    },
  });
}

function callerOf(
  metadata: Metadata,
  peer: string,
  { asksForUsers, consoleKey }: Pick<OperatorActsDependencies, 'asksForUsers' | 'consoleKey'>,
): { readonly who: string; readonly from: string; readonly byConsole: boolean } {
  const [user] = asksForUsers ? metadata.get(USER_HEADER) : [];
  const who = typeof user === 'string' ? user : '';
  const [said] = metadata.get(CONSOLE_HEADER);
  metadata.remove(CONSOLE_HEADER);
  const [, key = '', host = ''] = typeof said === 'string' ? (/^([0-9a-f]+) (\S{1,100})$/.exec(said) ?? []) : [];
  const byConsole = key.length === consoleKey.length && timingSafeEqual(Buffer.from(key), Buffer.from(consoleKey));
  return { who, from: byConsole ? host : peer.replace(/:\d+$/, ''), byConsole };
}

/** `request` decodes what is received on the method's path; a call that is passed on carries the request as bytes. */
function act<Request>(
  method: string,
  type: { decode(bytes: Uint8Array): Request },
  describe: (request: Request) => Act,
): [string, (request: unknown) => Act] {
  const read = (request: unknown): Act => {
    try {
      return describe(request instanceof Uint8Array ? type.decode(request) : (request as Request));
    } catch {
      return { subject: method, what: 'a request that cannot be read' };
    }
  };
  return [`/spanmesh.v1.${method}`, read];
}

function nodeWords(node: NodeSelector | undefined): string {
  return node === undefined ? 'no node' : node.key?.id || node.key?.label || node.node || 'a node';
}
