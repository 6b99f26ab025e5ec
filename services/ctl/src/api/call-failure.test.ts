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

it('recognises the port for peers', () => {
  const service = 'spanmesh.v1.Topology';
  const dropped = 'No connection established. Last error: Failed to connect.';
  expect(lineOf(status.UNAVAILABLE, dropped, { address: 'h:9987', service })).toContain('is the port for DMSG peers');
  expect(lineOf(status.UNAVAILABLE, dropped, { address: 'h:7987', service })).not.toContain('DMSG');
  expect(lineOf(status.DEADLINE_EXCEEDED, '', { address: 'h:987', service })).toContain('is the port for DMSG peers');
  expect(lineOf(status.DEADLINE_EXCEEDED, '', { address: 'h:7987', service })).toBe('h:7987 did not answer within 1 s');
  const refused = 'No connection established. Last error: connect ECONNREFUSED 127.0.0.1:9987.';
  expect(lineOf(status.UNAVAILABLE, refused, { address: 'h:9987', service })).toContain('is spanmesh running?');
});

const nobody = (why: string) => `No connection established. Last error: Error: connect ${why}. Resolution note: `;

it.each([
  ['127.0.0.1:7987', nobody('ECONNREFUSED 127.0.0.1:7987'), 'is spanmesh running? try `npm start`'],
  [
    'h:7987',
    nobody('ECONNREFUSED 192.0.2.1:7987'),
    'is spanmesh running? others reach its API only where SPANMESH_GRPC',
  ],
  ['192.0.2.1:7987', nobody('EHOSTUNREACH 192.0.2.1:7987'), 'there is no way to it (EHOSTUNREACH)'],
  ['h:7987', 'Name resolution failed for target dns:h:7987', 'no host of this name is known'],
])('says why %s cannot be reached: %s', (address, details, line) => {
  const service = 'spanmesh.v1.Topology';
  expect(lineOf(status.UNAVAILABLE, details, { address, service })).toContain(`cannot reach ${address}: ${line}`);
});

it('prints a label in the API’s error as it was typed', () => {
  const details = Buffer.from('There is no node größe.').toString('latin1');
  const context = { address: 'h:7987', service: 'spanmesh.v1.Topology' };
  expect(lineOf(status.NOT_FOUND, details, context)).toBe('There is no node größe.');
});
