import { EventsDefinition } from '@spanmesh/proto/v1/events';
import { ProcessDefinition } from '@spanmesh/proto/v1/process';
import { TopologyDefinition } from '@spanmesh/proto/v1/topology';
import { VolconfDefinition } from '@spanmesh/proto/v1/volconf';
import {
  ClientError,
  type ClientMiddleware,
  createChannel,
  createClientFactory,
  FetchTransport,
  Metadata,
  Status,
} from 'nice-grpc-web';
import { loadSession, session } from './session.ts';

/**
 * Each call carries the session's CSRF token; if a call is refused because there is no session, the page asks for the
 * token.
 */
const withSession: ClientMiddleware = async function* (call, options) {
  const metadata = Metadata(options.metadata).set('spanmesh-csrf', session.value?.csrf ?? '');
  try {
    return yield* call.next(call.request, { ...options, metadata });
  } catch (error) {
    if (error instanceof ClientError && error.code === Status.UNAUTHENTICATED) void loadSession();
    throw error;
  }
};

const channel = createChannel(
  new URL('.', location.href).href.replace(/\/$/, ''),
  FetchTransport({ credentials: 'same-origin' }),
);
const factory = createClientFactory().use(withSession);

/** Clients of the API for all parts of the page. */
export const topology = factory.create(TopologyDefinition, channel);
export const volconf = factory.create(VolconfDefinition, channel);
export const events = factory.create(EventsDefinition, channel);
export const processes = factory.create(ProcessDefinition, channel);

/** The error of a call, in words for people. */
export function words(error: unknown): string {
  if (error instanceof ClientError) return error.details || Status[error.code];
  return error instanceof Error ? error.message : String(error);
}

/** Whether a call failed because another process serves the method. */
export function isUnserved(error: unknown): boolean {
  return error instanceof ClientError && error.code === Status.UNIMPLEMENTED;
}
