import { expect, it } from 'vitest';
import type { GatewayId, GatewayKey, LinkId, LnkConnId } from './ids.ts';

it('ids of one kind are not taken for those of another, and plain ones are', () => {
  const link: LinkId = 7;
  const gateway: GatewayId = 'a.1';
  // @ts-expect-error a link is no LNK_CONN
  const lnkConn: LnkConnId = link;
  // @ts-expect-error what a gateway is called may change while its process lives
  const key: GatewayKey = gateway;
  expect([lnkConn, key]).toEqual([7, 'a.1']);
});
