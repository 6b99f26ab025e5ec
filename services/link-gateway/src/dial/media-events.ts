import type { CloseReason } from '../connection/close-reason.ts';
import type { LnkConn } from '../peers/peer.ts';
import type { LnkConnEvents } from '../peers/peer-reports.ts';
import type { DialledConnection } from './dialled-connection.ts';

/** Who wants to know at once what peers ask for, and how dialled connections fare. */
export interface MediaListener extends LnkConnEvents {
  up(dialled: DialledConnection): void;
  down(dialled: DialledConnection, reason: CloseReason): void;
}

/** Passes on what happens to whoever listens; most of the time nobody does. */
export class MediaEvents implements MediaListener {
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

  up(dialled: DialledConnection): void {
    for (const listener of this.listeners) listener.up(dialled);
  }

  down(dialled: DialledConnection, reason: CloseReason): void {
    for (const listener of this.listeners) listener.down(dialled, reason);
  }
}
