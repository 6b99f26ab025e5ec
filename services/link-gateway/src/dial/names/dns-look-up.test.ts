import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { afterEach, describe, expect, it } from 'vitest';
import { dnsLookUp } from './dns-look-up.ts';
import { type LookUp, LookUps } from './look-ups.ts';
import { NameServer, type Zone } from './name-server.fixture.ts';

let server: NameServer;
afterEach(() => server.stop());

async function lookUpWith(zone: Zone, { search = [], ndots = 1 }: { search?: string[]; ndots?: number } = {}) {
  server = await NameServer.start(zone);
  return dnsLookUp({ conf: () => ({ search, ndots }), servers: [server.address] });
}

const never = new AbortController().signal;
const found = (lookUp: LookUp, name: string) => lookUp(name, never);

describe('a look-up', () => {
  it('gives the addresses, and how long they are good for', async () => {
    const lookUp = await lookUpWith({ 'good.example': ['192.0.2.1', '192.0.2.2'] });
    expect(await found(lookUp, 'good.example')).toEqual({
      addresses: expect.arrayContaining(['192.0.2.1', '192.0.2.2']),
      ttlMs: 30_000,
    });
  });

  it('goes through the search list', async () => {
    const zone = { 'vol.a.example': 'absent', 'vol.b.example': ['192.0.2.1'] } as const;
    const lookUp = await lookUpWith(zone, { search: ['a.example', 'b.example'] });
    expect((await found(lookUp, 'vol')).addresses).toEqual(['192.0.2.1']);
    expect(server.asked).toEqual(['vol.a.example', 'vol.b.example']);
  });

  it('says that a name is not there', async () => {
    const lookUp = await lookUpWith({ 'gone.example': 'absent', 'empty.example': [] });
    await expect(found(lookUp, 'gone.example')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    await expect(found(lookUp, 'empty.example')).rejects.toMatchObject({ code: 'ENODATA' });
  });

  it('ends at once when nobody wants it any more, though the server is silent', async () => {
    const lookUp = await lookUpWith({});
    const abort = new AbortController();
    const asked = lookUp('host.nowhere.example', abort.signal);
    await server.heard();
    abort.abort();
    await expect(asked).rejects.toMatchObject({ code: 'ECANCELLED' });
  });

  it('of a good name is answered while 64 of another asker are not', async () => {
    const lookUps = new LookUps({
      lookUp: await lookUpWith({ 'good.example': ['192.0.2.1'] }),
      clock: new FakeClock(),
    });
    const abort = new AbortController();
    const silent = Array.from({ length: 64 }, (_, i) =>
      lookUps.resolve(`host${i}.nowhere.example`, { asker: 'evil', signal: abort.signal }),
    );
    const given = Promise.allSettled(silent);
    await server.heard();
    expect(await lookUps.resolve('good.example', { asker: 'good', signal: never })).toEqual(['192.0.2.1']);
    abort.abort();
    expect((await given).map(({ status }) => status)).toEqual(Array(64).fill('rejected'));
    expect([lookUps.running, lookUps.waiting]).toEqual([0, 0]);
  });
});
