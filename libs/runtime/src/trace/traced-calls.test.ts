import { Metadata, type ServerUnaryCall, type ServiceError, type sendUnaryData, status } from '@grpc/grpc-js';
import { DialService } from '@spanmesh/proto/v1/dial';
import { GetTargetRequest, VolconfClient, VolconfService } from '@spanmesh/proto/v1/volconf';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createClient } from '../grpc/grpc-client.ts';
import { GrpcServer } from '../grpc/grpc-server.ts';
import { createLogger } from '../log/logger.ts';
import type { StepOptions, Tracer } from './step.ts';
import { TraceCounts } from './trace-counts.ts';
import { traceOf } from './traced-calls.ts';

const PARENT = '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01';
const CONTEXT = Buffer.alloc(25, 7);

/** The steps that have begun, each with how it has ended. */
let steps: { name: string; options: StepOptions | undefined; ends: (string | undefined)[] }[];
let server: GrpcServer;
let client: VolconfClient;
/** What the handler has seen as the context of the call, and the call, until it is answered. */
let seen: (Uint8Array | null)[];
let arrived: ((call: { done: sendUnaryData<object> }) => void) | null;
const tracing: { tracer: Tracer | null; counts: TraceCounts } = { tracer: null, counts: new TraceCounts() };

beforeEach(async () => {
  steps = [];
  seen = [];
  arrived = null;
  tracing.tracer = {
    begin: (name, options) => {
      const ends: (string | undefined)[] = [];
      steps.push({ name, options, ends });
      return { context: CONTEXT, note: () => {}, end: (failure) => void ends.push(failure) };
    },
    stop: async () => {},
  };
  const logger = createLogger({ level: 'silent', service: 'test' });
  server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST', tracing }, { logger });
  const handle = ({ metadata }: ServerUnaryCall<unknown, unknown>, done: sendUnaryData<object>) => {
    seen.push(traceOf(metadata));
    if (arrived === null) done(null, {});
    else arrived({ done });
  };
  server.addService({ getTarget: VolconfService.getTarget }, { getTarget: handle });
  server.addService({ hangup: DialService.hangup }, { hangup: handle });
  client = createClient(VolconfClient, `127.0.0.1:${await server.start()}`);
});
afterEach(async () => {
  client.close();
  await server.stop(0);
});

function call(path: string, traceparent?: string): Promise<string> {
  const metadata = new Metadata();
  if (traceparent !== undefined) metadata.set('traceparent', traceparent);
  return new Promise((resolve) =>
    client.makeUnaryRequest(
      path,
      (request: GetTargetRequest) => Buffer.from(GetTargetRequest.encode(request).finish()),
      (bytes: Buffer) => bytes,
      GetTargetRequest.create(),
      metadata,
      (error: ServiceError | null) => resolve(status[error?.code ?? status.OK] ?? ''),
    ),
  );
}

it('a call of the API is a step of the caller’s trace, which its handler knows', async () => {
  expect(await call('/spanmesh.v1.Volconf/GetTarget', PARENT)).toBe('OK');
  // A second end is harmless.
  expect(steps.map(({ ends }) => [ends.length > 0, ends[0]])).toEqual([[true, undefined]]);
  expect(steps).toMatchObject([
    {
      name: 'spanmesh.v1.Volconf/GetTarget',
      options: {
        parent: Buffer.from(PARENT.replaceAll('-', '').slice(2), 'hex'),
        kind: 'server',
        attributes: { 'rpc.system': 'grpc', 'rpc.service': 'spanmesh.v1.Volconf', 'rpc.method': 'GetTarget' },
      },
    },
  ]);
  expect(seen).toEqual([CONTEXT]);
  expect(await call('/spanmesh.v1.Volconf/GetTarget')).toBe('OK');
  expect(steps[1]?.options?.parent).toBeNull();
});

it('a step says why its call has failed, or that it was cancelled', async () => {
  arrived = ({ done }) => done({ code: status.NOT_FOUND, details: 'no such target' });
  expect(await call('/spanmesh.v1.Volconf/GetTarget')).toBe('NOT_FOUND');
  expect(steps[0]?.ends[0]).toBe('NOT_FOUND: no such target');
  const came = new Promise<void>((resolve) => {
    arrived = () => resolve();
  });
  const waiting = client.getTarget(GetTargetRequest.create(), () => {});
  await came;
  waiting.cancel();
  await expect.poll(() => steps[1]?.ends[0]).toBe('CANCELLED');
});

it('calls between services are steps only where an order goes on in another process', async () => {
  expect(await call('/spanmesh.v1.Dial/Hangup')).toBe('OK');
  expect(steps.map(({ name }) => name)).toEqual(['spanmesh.v1.Dial/Hangup']);
  expect(await call('/spanmesh.v1.Capture/CaptureMessages')).toBe('UNIMPLEMENTED');
  expect(await call('/grpc.health.v1.Health/Check')).toBe('OK');
  expect(steps).toHaveLength(1);
});

it('without a tracer a call is no step, and has no context', async () => {
  tracing.tracer = null;
  expect(await call('/spanmesh.v1.Volconf/GetTarget', PARENT)).toBe('OK');
  expect([steps, seen]).toEqual([[], [null]]);
});
