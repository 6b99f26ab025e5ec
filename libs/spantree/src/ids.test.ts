import { expect, it } from 'vitest';
import type { GatewayId, GatewayKey, LinkId, LnkConnId } from './ids.ts';

it('an id of one kind is not accepted as one of another kind; a plain number or text is', () => {
  const link: LinkId = 7;
  const gateway: GatewayId = 'a.1';
  // @ts-expect-error a link is no LNK_CONN
  const lnkConn: LnkConnId = link;
  // @ts-expect-error a gateway's id may change while its process lives, its key does not
  const key: GatewayKey = gateway;
  expect([lnkConn, key]).toEqual([7, 'a.1']);
});
