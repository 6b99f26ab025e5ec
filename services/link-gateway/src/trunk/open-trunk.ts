import type { Socket } from 'node:net';
import { type ServiceError, status } from '@grpc/grpc-js';
import { nameOf } from '@spanmesh/proto/gateway-id';
import { type OpenTrunkRequest, type OpenTrunkResponse, TrunkClient } from '@spanmesh/proto/v1/trunk';
import { type HostPort, parseHostPort } from '@spanmesh/runtime/address';
import { createClient } from '@spanmesh/runtime/grpc/grpc-client';
import type { ProtocolRule } from '@spanmesh/runtime/grpc/protocol-version';
import { type ChannelSecurity, meetingGateway } from '@spanmesh/runtime/tls/tls-credentials';
import type { TlsFiles } from '@spanmesh/runtime/tls/tls-files';
import { LinkGatewayError } from '../gateway-error.ts';
import { TOKEN_BYTES } from './limits.ts';
import { connectTrunk } from './transport.ts';
import { GREETING } from './trunk-listener.ts';

/** Calls Trunk.OpenTrunk of the gateway at this service address. @throws LinkGatewayError trunk */
export type AskForTrunk = (
  address: string,
  request: OpenTrunkRequest,
  signal: AbortSignal,
) => Promise<OpenTrunkResponse>;

/** Asks over gRPC, on a new channel each time, so that the host name is looked up afresh. */
export const askOverGrpc =
  (security: ChannelSecurity): AskForTrunk =>
  (address, request, signal) =>
    new Promise((resolve, reject) => {
      const client = createClient(TrunkClient, address, { security: meetingGateway(security, nameOf(request.to)) });
      const call = client.openTrunk(request, (error: ServiceError | null, response: OpenTrunkResponse) => {
        signal.removeEventListener('abort', cancel);
        client.close();
        if (error === null) resolve(response);
        else if (signal.aborted) reject(new LinkGatewayError('trunk', { why: 'timeout' }));
        else if (error.code === status.ALREADY_EXISTS) reject(new LinkGatewayError('trunk', { why: 'already-exists' }));
        else if (error.code === status.NOT_FOUND)
          reject(new LinkGatewayError('trunk', { why: 'declared-dead' }, { message: error.details, cause: error }));
        else if (error.code === status.UNIMPLEMENTED)
          reject(new LinkGatewayError('trunk', { why: 'version' }, { message: error.details, cause: error }));
        else reject(new LinkGatewayError('trunk', { why: 'unreachable' }, { message: error.message, cause: error }));
      });
      const cancel = () => call.cancel();
      signal.addEventListener('abort', cancel, { once: true });
    });

/**
 * A connection whose token the other side has accepted. The socket is paused; `rest` are the bytes after the greeting.
 */
export interface OpenedTrunk {
  readonly socket: Socket;
  readonly rest: Uint8Array;
}

/**
 * Asks for a trunk, connects, and sends the token. Resolves once the other side has accepted it with the greeting.
 * @throws LinkGatewayError trunk
 */
export async function openTrunk(
  address: string,
  request: OpenTrunkRequest,
  { ask, tls, protocol }: { ask: AskForTrunk; tls: TlsFiles | null; protocol: ProtocolRule },
  signal: AbortSignal,
): Promise<OpenedTrunk> {
  const response = await ask(address, request, signal);
  const agreement = protocol.check(response.version, { role: 'gateway', who: `gateway ${request.to}` });
  if (agreement.kind === 'refused') throw new LinkGatewayError('trunk', { why: 'version' }, { message: agreement.why });
  if (response.token.length !== TOKEN_BYTES)
    throw new LinkGatewayError('trunk', { why: 'invalid' }, { message: 'the token has a wrong length' });
  const socket = await connectTrunk(
    { gateway: nameOf(request.to), ...whereTo(response.address, address) },
    tls,
    signal,
  );
  return greet(socket, response.token, signal);
}

/** The address to connect to. An empty host means the host that was called (trunk.proto, OpenTrunkResponse). */
function whereTo(address: string, called: string): HostPort {
  try {
    if (!address.startsWith(':')) return parseHostPort(address);
    const { host } = parseHostPort(called);
    return { host, port: parseHostPort(`localhost${address}`).port };
  } catch (cause) {
    throw new LinkGatewayError('trunk', { why: 'invalid' }, { message: 'the address makes no sense', cause });
  }
}

function greet(socket: Socket, token: Uint8Array, signal: AbortSignal): Promise<OpenedTrunk> {
  return new Promise((resolve, reject) => {
    const greeting = Buffer.alloc(GREETING.length);
    let have = 0;
    const fail = (error: LinkGatewayError<'trunk'>) => {
      signal.removeEventListener('abort', expire);
      socket.destroy();
      reject(error);
    };
    const expire = () => fail(new LinkGatewayError('trunk', { why: 'timeout' }));
    const refused = () =>
      fail(new LinkGatewayError('trunk', { why: 'unreachable' }, { message: 'the other side closed the connection' }));
    const take = (chunk: Buffer) => {
      const used = chunk.copy(greeting, have);
      have += used;
      if (have < greeting.length) return;
      if (!greeting.equals(GREETING)) {
        fail(new LinkGatewayError('trunk', { why: 'invalid' }, { message: 'this is not a trunk' }));
        return;
      }
      signal.removeEventListener('abort', expire);
      socket.pause();
      socket.off('data', take).off('end', refused).off('close', refused);
      resolve({ socket, rest: chunk.subarray(used) });
    };
    signal.addEventListener('abort', expire, { once: true });
    // This listener stays until the caller has added its own.
    socket.on('error', refused);
    socket.on('data', take).on('end', refused).on('close', refused);
    if (signal.aborted) expire();
    else socket.write(token);
  });
}
