import { BASE_MASK, DBG_SHELL } from '@spanmesh/dmsg/command';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { LnkSpan } from '@spanmesh/dmsg/payload/lnk-span';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import { BlockService } from './block-service.ts';
import type { BlockBudget } from './block-store.ts';
import { ShellService } from './shell-service.ts';
import type { ServedLink, SpanService } from './span-service.ts';

/** Most blocks of 512 bytes that the peers of one simulation hold together: 256 MiB. */
export const MAX_BLOCKS = 2 ** 19;

/** The budget for the media of all peers in a simulation. */
export function blockBudget(): BlockBudget {
  return { blocks: MAX_BLOCKS };
}

export interface PeerServiceDependencies {
  readonly budget: BlockBudget;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/**
 * The services on each simulated peer's spans: a debug shell, and media in memory. They outlive the peer's connections.
 */
export class PeerService implements SpanService {
  readonly #shell: ShellService;
  readonly #blocks: BlockService;

  constructor({ budget, now }: PeerServiceDependencies) {
    this.#shell = new ShellService({ now });
    this.#blocks = new BlockService(budget);
  }

  onOpen(tx: Transaction, frame: Frame, span: LnkSpan, link: ServedLink): boolean {
    if ((frame.cmd & BASE_MASK) !== DBG_SHELL) return this.#blocks.onOpen(tx, frame, span, link);
    this.#shell.onOpen(tx, frame, span);
    return true;
  }
}
