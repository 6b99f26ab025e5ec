import type { LivePeer } from '../peer/live-peer.ts';
import { CREATE, DELETE, type Outgoing, REPLY } from '../peer/wire.ts';

/** msgids of the transactions of a peer that stay: LNK_CONNs, spans and relays. */
export function standing({ conns, spans, held, routerConn }: LivePeer): { peer: Set<bigint>; router: Set<bigint> } {
  return {
    peer: new Set([...conns.keys(), ...spans.keys()]),
    router: new Set([...held.keys(), ...(routerConn === null ? [] : [routerConn])]),
  };
}

/**
 * Transactions on a connection that one side or both have not ended, except those that stay, with the words of their
 * messages: helps to find one that is left over. `sent`: what the peer has sent.
 */
export function unfinished(live: LivePeer, sent: readonly Outgoing[]): string[] {
  const open = new Map<string, { peer: number; router: number; opened: number; text: string }>();
  const note = (by: 'peer' | 'router', { cmd, msgid = 0n }: { cmd: number; msgid?: bigint }) => {
    if (msgid === 0n) return;
    const opener = ((cmd & REPLY) === 0) === (by === 'peer') ? 'peer' : 'router';
    const name = `${opener} ${msgid.toString(16)}`;
    const one = open.get(name) ?? { peer: 0, router: 0, opened: 0, text: '' };
    if (opener === by && (cmd & CREATE) !== 0) one.opened++;
    if ((cmd & DELETE) !== 0) one[by]++;
    one.text += ` ${by}:${(cmd >>> 0).toString(16)}`;
    open.set(name, one);
  };
  for (const message of sent) note('peer', message);
  for (const message of live.raw.log) note('router', message);
  for (const [name, { peer, router, opened }] of open) if (Math.min(peer, router) >= opened) open.delete(name);
  for (const [by, msgids] of Object.entries(standing(live))) {
    for (const msgid of msgids) open.delete(`${by} ${msgid.toString(16)}`);
  }
  return [...open].map(([name, { text }]) => `opened by ${name}:${text}`);
}
