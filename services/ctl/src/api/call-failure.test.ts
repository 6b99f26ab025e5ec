import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { failureOf } from './call-failure.ts';

function lineOf(code: status, details: string, context: { address: string; service: string }): string {
  const error: ServiceError = Object.assign(new Error(details), { code, details, metadata: new Metadata() });
  return (failureOf(error, { timeoutMs: 1000, ...context }) as Error).message;
}

it.each([
  ['spanmesh.v1.Messaging', 'does not serve ping, shell, send and trace: that is a link-gateway, port 7988'],
  ['spanmesh.v1.Volconf', 'does not serve volconf: that is a volconf process, port 7985'],
])('says which commands are not served, and where they are: %s', (service, line) => {
  expect(lineOf(status.UNIMPLEMENTED, '', { address: 'h:7987', service })).toContain(line);
});

it('knows the port for peers', () => {
  const service = 'spanmesh.v1.Topology';
  const dropped = 'No connection established. Last error: Failed to connect.';
  expect(lineOf(status.UNAVAILABLE, dropped, { address: 'h:9987', service })).toContain('is the port for DMSG peers');
  expect(lineOf(status.UNAVAILABLE, dropped, { address: 'h:7987', service })).not.toContain('DMSG');
  const refused = 'No connection established. Last error: connect ECONNREFUSED 127.0.0.1:9987.';
  expect(lineOf(status.UNAVAILABLE, refused, { address: 'h:9987', service })).toContain('is spanmesh running?');
});
