import type { CloseReason } from '../connection/close-reason.ts';
import type { LnkConn } from '../peers/peer.ts';
import type { LnkConnEvents } from '../peers/peer-reports.ts';
import type { Standing } from './standing.ts';

/** Who wants to know at once what peers ask for, and how dialled connections fare. */
export interface MediaListener extends LnkConnEvents {
  up(standing: Standing): void;
  down(standing: Standing, reason: CloseReason): void;
}

/** Passes on what happens to whoever listens; most of the time nobody does. */
export class MediaNews implements MediaListener {
  readonly listeners = new Set<MediaListener>();

  lnkConnOpened(lnkConn: LnkConn): void {
    for (const listener of this.listeners) listener.lnkConnOpened(lnkConn);
  }

  lnkConnClosed(lnkConn: LnkConn): void {
    for (const listener of this.listeners) listener.lnkConnClosed(lnkConn);
  }

  slotReceived(lnkConn: LnkConn, index: number): void {
    for (const listener of this.listeners) listener.slotReceived(lnkConn, index);
  }

  up(standing: Standing): void {
    for (const listener of this.listeners) listener.up(standing);
  }

  down(standing: Standing, reason: CloseReason): void {
    for (const listener of this.listeners) listener.down(standing, reason);
  }
}
