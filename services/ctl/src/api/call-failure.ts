import { type ServiceError, status } from '@grpc/grpc-js';
import { isLoopbackHost, parseHostPort } from '@spanmesh/runtime/address';
import { START_COMMAND } from '@spanmesh/runtime/process/commands';
import { Failure } from '../failure.ts';
import { printableSentence } from '../output/label.ts';

/** The circumstances of a failed call that its error does not hold. */
export interface CallContext {
  readonly address: string;
  readonly timeoutMs: number;
  /** Full name of the service that was called. */
  readonly service: string;
  /** The caller cancelled the call because no answer came in time. */
  readonly late?: boolean;
}

/**
 * One line about a failed call, for the person who typed the command. An error that is not gRPC's is returned
 * unchanged.
 */
export function failureOf(error: unknown, { address, timeoutMs, service, late = false }: CallContext): unknown {
  if (!isServiceError(error)) return error;
  // The API's sentence may quote a label, which is printed as it was typed.
  const details = printableSentence(error.details);
  if (late || error.code === status.DEADLINE_EXCEEDED) {
    const line = dmsgPort(address, '') ?? `${address} did not answer within ${timeoutMs / 1000} s`;
    return new Failure('timeout', line, { cause: error });
  }
  switch (error.code) {
    case status.UNAUTHENTICATED:
      return new Failure('refused', `${details} Give --token-file (or SPANMESH_TOKEN), or --cert and --key.`, {
        cause: error,
      });
    case status.UNAVAILABLE: {
      const trouble = dmsgPort(address, error.details) ?? tlsTrouble(address, details);
      if (trouble !== null) return new Failure('refused', trouble, { cause: error });
      // grpc-js says this when the answer is no HTTP/2.
      if (/Last error: Protocol error/.test(error.details)) {
        return new Failure('refused', `${address} does not speak gRPC`, { cause: error, stranger: address });
      }
      return new Failure('unreachable', unreachable(address, error.details) ?? notNow(address, details), {
        cause: error,
      });
    }
    case status.UNIMPLEMENTED:
      return new Failure('refused', notServed(address, service), { cause: error });
    default:
      return new Failure('refused', details === '' ? `${address} answered ${status[error.code]}` : details, {
        cause: error,
      });
  }
}

function notNow(address: string, details: string): string {
  return `${address} is not available now: ${details}`;
}

/**
 * What may be wrong when no connection can be made; null: a connection was made. grpc-js tells the cases apart only in
 * its text.
 */
function unreachable(address: string, details: string): string | null {
  if (/^Name resolution failed|ENOTFOUND/.test(details))
    return `cannot reach ${address}: no host of this name is known`;
  const [noWay] = /E(?:HOST|NET)UNREACH|ETIMEDOUT/.exec(details) ?? [];
  if (noWay !== undefined) return `cannot reach ${address}: there is no way to it (${noWay})`;
  return /^No connection established|ECONNREFUSED/.test(details) ? nobodyAt(address) : null;
}

/** A sentence for an address at which, as far as can be told, nobody listens. */
export function nobodyAt(address: string): string {
  const hint = isLoopbackHost(parseHostPort(address).host)
    ? `try \`${START_COMMAND}\``
    : 'others reach its API only where SPANMESH_GRPC_LISTEN lets it listen, which is the loopback unless set otherwise';
  return `cannot reach ${address}: is spanmesh running? ${hint}`;
}

/** The commands that need a service, and where it is served when every service has a process of its own. */
const SERVED: Readonly<Record<string, { readonly commands: string; readonly where: string }>> = {
  'spanmesh.v1.Topology': {
    commands: 'trees, lists, explain, watch and status',
    where: 'a topology process, port 7987 unless set otherwise',
  },
  'spanmesh.v1.Messaging': {
    commands: 'ping, shell, send and trace',
    where: 'a link-gateway, port 7988 unless set otherwise',
  },
  'spanmesh.v1.Volconf': { commands: 'volconf', where: 'a volconf process, port 7985 unless set otherwise' },
  'spanmesh.v1.Events': { commands: 'events', where: 'any process, or it is an older version' },
  'spanmesh.v1.Process': {
    commands: 'log-level, config show and debug dump',
    where: 'any process, or it is an older version',
  },
};

function notServed(address: string, service: string): string {
  const known = SERVED[service];
  if (known === undefined) return `${address} does not serve ${service}`;
  return `${address} does not serve ${known.commands}: that is ${known.where}; give its --address`;
}

/** Ports that peers connect to: the protocol's own, and spanmesh's default. */
const DMSG_PORTS = /:(987|9987)$/;

/**
 * A sentence about the port for peers, where nobody answers gRPC; null: it is another port, or nothing listens there.
 */
function dmsgPort(address: string, details: string): string | null {
  if (!DMSG_PORTS.test(address) || /ECONNREFUSED|^Name resolution failed/.test(details)) return null;
  return `${address} is the port for DMSG peers: the API is on another one, 7987 unless set otherwise`;
}

/**
 * What to do about a connection that TLS has ended; null: TLS was not the cause. The texts are those of Node and
 * OpenSSL.
 */
function tlsTrouble(address: string, details: string): string | null {
  const name = /its certificate is that of .*? or [a-z.]+/.exec(details);
  if (name !== null) return `${address} is somebody else: ${name[0]}`;
  if (/self.signed certificate|unable to (get|verify)|certificate signature failure/i.test(details)) {
    return `the certificate of ${address} is not trusted: --ca must be the CA that has signed it (ca.crt of \`spanmesh certs init\`)`;
  }
  if (/certificate has expired|certificate is not yet valid/.test(details)) {
    return `the certificate of ${address} is out of date: ${details}`;
  }
  if (/wrong version number|packet length too long/i.test(details)) {
    return `${address} does not speak TLS: leave out --ca (and SPANMESH_CA)`;
  }
  // The connection was made, and closed before a byte was exchanged.
  if (/Last error: Failed to connect/.test(details)) return `${address} hangs up: if it has TLS, give --ca`;
  return null;
}

/** True for an error of a call, with its status. */
export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && 'details' in error && typeof error.details === 'string';
}
