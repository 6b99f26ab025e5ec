import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Client, type ClientReadableStream, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { CONSOLE_HEADER } from '@spanmesh/runtime/access/operator-acts';
import { LAG_HEADER, REPLICA_HEADER, ROLE_HEADER } from '@spanmesh/runtime/grpc/forwarder';
import { messageHead, readRequest, trailers } from './grpc-web.ts';
import type { BridgedMethod } from './methods.ts';
import type { Session } from './sessions.ts';

/** Largest request of a page, bytes: it holds a target, or a filter. */
export const MAX_REQUEST_BYTES = 64 * 1024;
/** Longest wait for an answer that is no stream, ms. */
const ANSWER_MS = 15_000;
/** Longest time in which a page takes none of the bytes that wait for it, ms; then it is disconnected. */
const STALL_MS = 30_000;
/** Headers of the API's answer that are passed on to the page: which replica has answered, and how old its data is. */
const PASSED_HEADERS = [REPLICA_HEADER, ROLE_HEADER, LAG_HEADER] as const;

const asIs = (bytes: Buffer): Buffer => bytes;

export interface BridgedCall {
  readonly path: string;
  readonly method: BridgedMethod;
  readonly session: Session;
  /** Value of CONSOLE_HEADER: the host for which the call is made. */
  readonly caller: string;
  /** Called once, with the status with which the call ended. */
  readonly ended: (code: status) => void;
}

/**
 * Passes a call of a page on to the API of this process: gRPC-Web on one side, gRPC on the other. The bytes of messages
 * pass unchanged.
 */
export async function bridge(
  client: () => Client,
  { path, method, session, caller, ended }: BridgedCall,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let isOver = false;
  const over = (code: status): boolean => {
    if (isOver) return false;
    isOver = true;
    session.onEnd.delete(cut);
    ended(code);
    return true;
  };
  let cancel = (): void => {};
  const cut = (): void => {
    response.destroy();
  };
  session.onEnd.add(cut);
  response.once('close', () => {
    if (over(status.CANCELLED)) cancel();
  });
  const finish = (code: status, details: string): void => {
    if (!over(code)) return;
    begin(response, null);
    response.end(trailers(code, details));
  };

  let message: Buffer;
  try {
    message = readRequest(await readBody(request, MAX_REQUEST_BYTES));
  } catch (error) {
    if (!(error instanceof RangeError)) {
      cut();
      return;
    }
    // The rest of a body that is too long is not read, so the connection cannot be used again.
    if (!response.headersSent) response.setHeader('Connection', 'close');
    finish(status.INVALID_ARGUMENT, `The request is refused: ${error.message}.`);
    return;
  }
  if (isOver) return;
  const metadata = new Metadata();
  metadata.set(CONSOLE_HEADER, caller);
  if (session.token !== null) metadata.set('authorization', `Bearer ${session.token}`);
  if (method.isStream) {
    const call = client().makeServerStreamRequest(path, asIs, asIs, message, metadata, {});
    cancel = () => call.cancel();
    pipe(call, response, finish);
    return;
  }
  const deadline = Date.now() + ANSWER_MS;
  const call = client().makeUnaryRequest(path, asIs, asIs, message, metadata, { deadline }, (error, answer) => {
    if (error !== null || answer === undefined) {
      finish(error?.code ?? status.INTERNAL, error?.details ?? 'There was no answer.');
      return;
    }
    if (isOver) return;
    begin(response, null);
    response.write(messageHead(answer.length));
    response.write(answer);
    finish(status.OK, '');
  });
  call.on('metadata', (headers: Metadata) => {
    if (!isOver) pass(headers, response);
  });
  cancel = () => call.cancel();
}

function pipe(
  call: ClientReadableStream<Buffer>,
  response: ServerResponse,
  finish: (code: status, details: string) => void,
): void {
  let stalled: NodeJS.Timeout | undefined;
  response.once('close', () => clearTimeout(stalled));
  call.on('metadata', (headers: Metadata) => begin(response, headers));
  call.on('data', (message: Buffer) => {
    if (response.writableEnded || response.destroyed) return;
    begin(response, null);
    response.write(messageHead(message.length));
    if (response.write(message)) return;
    // A page that reads slowly slows the API down, instead of filling this process's memory.
    call.pause();
    stalled ??= setTimeout(() => response.destroy(), STALL_MS).unref();
  });
  response.on('drain', () => {
    clearTimeout(stalled);
    stalled = undefined;
    call.resume();
  });
  call.on('end', () => finish(status.OK, ''));
  call.on('error', ({ code, details }: ServiceError) => finish(code, details));
}

/** Sends the headers, so that a page knows that its stream has begun; does nothing the second time. */
function begin(response: ServerResponse, headers: Metadata | null): void {
  if (response.headersSent || response.destroyed) return;
  if (headers !== null) pass(headers, response);
  response.writeHead(200, { 'Content-Type': 'application/grpc-web+proto' });
  response.flushHeaders();
}

function pass(headers: Metadata, response: ServerResponse): void {
  if (response.headersSent) return;
  for (const name of PASSED_HEADERS) {
    const [value] = headers.get(name);
    if (typeof value === 'string') response.setHeader(name, value);
  }
}

/** All of a request's body. @throws RangeError: it is longer than `most` */
export async function readBody(request: IncomingMessage, most: number): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > most) throw new RangeError(`more than ${most} bytes`);
  const parts: Buffer[] = [];
  let length = 0;
  // The request is not destroyed when the loop ends early: it still has an answer to get.
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    const bytes = part as Buffer;
    length += bytes.length;
    if (length > most) throw new RangeError(`more than ${most} bytes`);
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}
