import type { CloseReason } from '../connection/close-reason.ts';
import type { LnkConn } from '../peers/peer.ts';
import type { LnkConnEvents } from '../peers/peer-reports.ts';
import type { DialledConnection } from './dialled-connection.ts';

/** Is told at once of LNK_CONNs and volconf slots of peers, and of dialled connections that come and go. */
export interface MediaListener extends LnkConnEvents {
  up(dialled: DialledConnection): void;
  down(dialled: DialledConnection, reason: CloseReason): void;
}

/** Passes each event on to all listeners: one for each call of WatchMedia (dial-server.ts). */
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
