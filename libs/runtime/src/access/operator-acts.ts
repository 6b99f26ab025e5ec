import { timingSafeEqual } from 'node:crypto';
import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import type { OperateMethod } from '@spanmesh/proto/method-roles';
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

/**
 * The methods by which an operator acts, and how each one's request is described; null: what a client's program calls
 * all the time. A method that is new in proto/ and missing here does not compile.
 */
const ACTS: Readonly<Record<OperateMethod, ((request: unknown) => Act) | null>> = {
  '/spanmesh.v1.Topology/DrainGateway': act(DrainGatewayRequest, ({ gateway, share }) => ({
    subject: gateway,
    what: `${Math.round(share * 100)} % of its connections`,
  })),
  '/spanmesh.v1.Topology/CloseConnection': act(CloseConnectionRequest, ({ connection, reason }) => ({
    subject: connection,
    what: reason === '' ? '' : `reason: ${reason}`,
  })),
  '/spanmesh.v1.Topology/CaptureConnection': act(CaptureConnectionRequest, ({ connection }) => ({
    subject: connection,
    what: '',
  })),
  '/spanmesh.v1.Volconf/SetTarget': act(SetTargetRequest, ({ name, path }) => ({ subject: name, what: path })),
  '/spanmesh.v1.Volconf/RemoveTarget': act(RemoveTargetRequest, ({ name }) => ({ subject: name, what: '' })),
  '/spanmesh.v1.Process/SetLogLevel': act(SetLogLevelRequest, ({ level, service, process }) => ({
    subject: process || service || 'all processes',
    what: level || 'as the settings say',
  })),
  '/spanmesh.v1.Process/Inspect': act(InspectRequest, ({ process }) => ({
    subject: process || 'all processes',
    what: '',
  })),
  '/spanmesh.v1.Messaging/OpenRoute': act(OpenRouteRequest, ({ open }) => ({
    subject: nodeWords(open?.node),
    what: '',
  })),
  '/spanmesh.v1.Messaging/AcquireCluster': null,
  '/spanmesh.v1.Messaging/ReleaseCluster': null,
  '/spanmesh.v1.Messaging/RenewClusters': null,
  '/spanmesh.v1.Messaging/ResolveNode': null,
  '/spanmesh.v1.Messaging/WaitCluster': null,
};
/** The same, for any path. */
const ACTS_OF: Readonly<Record<string, ((request: unknown) => Act) | null>> = ACTS;

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
    const describe = ACTS_OF[path] ?? null;
    // The library's type asks for its own class, but it uses only the interface.
    return describe === null ? (call as ServerInterceptingCall) : toldCall(call, path, describe, deps);
  };
}

function toldCall(
  call: ServerInterceptingCallInterface,
  path: string,
  describe: (request: unknown) => Act,
  { events, asksForUsers, consoleKey }: OperatorActsDependencies,
): ServerInterceptingCall {
  const method = path.slice(path.lastIndexOf('.') + 1);
  let caller = { who: '', from: '', byConsole: false };
  let given: Act | null = null;
  let isTold = false;
  const tell = (error: string): void => {
    if (isTold || given === null) return;
    isTold = true;
    const { subject, what } = given;
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
          given ??= described(describe, message, method);
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

/** `type` decodes what is received; a call that is passed on carries the request as bytes. Throws on a bad request. */
function act<Request>(
  type: { decode(bytes: Uint8Array): Request },
  describe: (request: Request) => Act,
): (request: unknown) => Act {
  return (request) => describe(request instanceof Uint8Array ? type.decode(request) : (request as Request));
}

function described(describe: (request: unknown) => Act, request: unknown, method: string): Act {
  try {
    return describe(request);
  } catch {
    return { subject: method, what: 'a request that cannot be read' };
  }
}

function nodeWords(node: NodeSelector | undefined): string {
  return node === undefined ? 'no node' : node.key?.id || node.key?.label || node.node || 'a node';
}
