import type { StateChange } from '@spanmesh/proto/v1/gateway_control';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, describe, expect, it } from 'vitest';
import { spanPayload, TestGateway } from '../testing/gateway.fixture.ts';

const OPEN_SPAN = 0x80001207;
const CLOSE_SPAN = 0x40001207;
const LINKS = 1500;

let gateway: TestGateway | undefined;

afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
});

describe('the snapshot of a gateway with many links', () => {
  it('is cut in slices, and is what was open at its beginning but for what has ended since', async () => {
    const made = await TestGateway.start();
    gateway = made;
    const { peer, lnkConn } = await made.established('linkid');
    const spans = Array.from({ length: LINKS }, (_, i) => i + 1);
    peer.say(...spans.map((lo) => ({ cmd: OPEN_SPAN, msgid: { lo, hi: 1 }, payload: spanPayload('linkid') })));
    const { linksOpened } = await made.attach.until((delta) => delta.linksOpened.length === LINKS);
    const all = linksOpened.map(({ id }) => id);
    const other = await made.established('linkid', '127.0.0.66');
    made.attach.command({ relays: all.map((link) => ({ gateway: '', link, open: [other.lnkConn], close: [] })) });
    const cutting = made.gateway.snapshot();
    made.attach.reports.begin();
    let slices = 0;
    let parts: StateChange[] | null = null;
    while (parts === null) {
      const step = cutting.next();
      if (step.done === true) parts = step.value;
      else {
        expect(step.value).toBeLessThan(300);
        if (++slices !== 2) continue;
        // Between two slices: the last link closes, a new link opens, and an old link is relayed to a new peer.
        peer.say({ cmd: CLOSE_SPAN, msgid: { lo: LINKS, hi: 1 } });
        await until(() => made.gateway.counters.links === LINKS - 1);
        await made.span(peer, 'linkid', { lo: 1, hi: 2 });
        const late = await made.established('linkid', '127.0.0.67');
        made.attach.command({ relays: [{ gateway: '', link: all.at(-2) ?? 0, open: [late.lnkConn], close: [] }] });
      }
    }
    expect(slices).toBeGreaterThan(LINKS / 300);
    expect(parts.flatMap((part) => part.linksOpened).map(({ id }) => id)).toEqual(all.slice(0, -1));
    const relays = parts.flatMap((part) => part.relaysOpen).map(({ link, lnkConns }) => [link, lnkConns]);
    expect(relays).toEqual(all.slice(0, -1).map((link) => [link, [other.lnkConn]]));
    expect(parts.flatMap((part) => part.lnkConnsOpened).map(({ id }) => id)).toEqual([lnkConn, other.lnkConn]);
  });
});
