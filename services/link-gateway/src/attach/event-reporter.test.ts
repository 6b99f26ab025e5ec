import { Client } from '@grpc/grpc-js';
import { type EventReportsServer, EventReportsService } from '@spanmesh/proto/v1/event_report';
import { Event, EventKind } from '@spanmesh/proto/v1/events';
import { encodeReport } from '@spanmesh/runtime/events/event-report';
import { PLAINTEXT } from '@spanmesh/runtime/grpc/grpc-client';
import { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { EventReporter, MAX_REPORTS } from './event-reporter.ts';

const logger = createLogger({ level: 'silent', service: 'test' });
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A leader; `holds`: it answers no report until the test calls what is in `held`. */
async function leader({ holds = false } = {}) {
  const heard: string[] = [];
  const held: (() => void)[] = [];
  const server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
  const implementation: EventReportsServer = {
    reportEvents: ({ request }, callback) => {
      heard.push(...request.events.map(({ subject }) => subject));
      if (holds) held.push(() => callback(null, {}));
      else callback(null, {});
    },
  };
  server.addService(EventReportsService, implementation);
  const address = `127.0.0.1:${await server.start()}`;
  cleanups.push(() => server.stop(0));
  return { heard, held, address };
}

const report = (subject: string) =>
  encodeReport([Event.fromPartial({ kind: EventKind.EVENT_KIND_PEER_UP, subject, id: subject })]);

function reporter(address: () => string | null): EventReporter {
  const made = new EventReporter({ address, security: PLAINTEXT });
  cleanups.push(() => made.stop());
  return made;
}

describe('A gateway without NATS', () => {
  it('reports to the present leader, and to nobody while no leader is known', async () => {
    const [one, two] = [await leader(), await leader()];
    let address: string | null = null;
    const reports = reporter(() => address);
    reports.report(report('lost'));
    address = one.address;
    reports.report(report('a'));
    await expect.poll(() => one.heard).toEqual(['a']);
    address = two.address;
    reports.report(report('b'));
    await expect.poll(() => two.heard).toEqual(['b']);
    expect(one.heard).toEqual(['a']);
  });

  // Limits: attach/event-reporter.ts MAX_REPORTS
  it('drops what is past MAX_REPORTS reports that the leader has not answered', async () => {
    const { heard, held, address } = await leader({ holds: true });
    const reports = reporter(() => address);
    for (let n = 0; n < MAX_REPORTS + 3; n++) reports.report(report(`${n}`));
    await expect.poll(() => heard.length).toBe(MAX_REPORTS);
    for (const answer of held) answer();
    await expect
      .poll(() => {
        reports.report(report('later'));
        return heard.includes('later');
      })
      .toBe(true);
    for (const answer of held) answer();
    expect(heard).not.toContain(`${MAX_REPORTS}`);
  });

  it('reports nothing any more once it has stopped, and closes its channels', async () => {
    const close = vi.spyOn(Client.prototype, 'close');
    cleanups.push(() => vi.restoreAllMocks());
    const [one, two] = [await leader(), await leader()];
    let { address } = one;
    const reports = reporter(() => address);
    reports.report(report('a'));
    await expect.poll(() => one.heard).toEqual(['a']);
    reports.report(report('b'));
    await expect.poll(() => one.heard).toEqual(['a', 'b']);
    expect(close).not.toHaveBeenCalled();
    address = two.address;
    reports.report(report('c'));
    expect(close).toHaveBeenCalledOnce();
    await expect.poll(() => two.heard).toEqual(['c']);
    reports.stop();
    expect(close).toHaveBeenCalledTimes(2);
    address = one.address;
    reports.report(report('d'));
    expect(close).toHaveBeenCalledTimes(2);
    const last = reporter(() => address);
    last.report(report('e'));
    await expect.poll(() => one.heard).toEqual(['a', 'b', 'e']);
  });
});
