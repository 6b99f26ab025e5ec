import { rulesOf } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import { decodeShellText } from '@spanmesh/dmsg/payload/dbg-shell';
import { type PeerTarget, parsePeerTarget } from '@spanmesh/dmsg/peer-target';
import { DISCARD, type Transaction } from '@spanmesh/dmsg/transaction';
import { apiDialect } from '@spanmesh/proto/dialect';
import type { GetTreeRequest, GetTreeResponse } from '@spanmesh/proto/v1/topology';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Connection } from '../connection/connection.ts';
import { SHELL_QUEUE_LENGTH, SHELL_TEXT_BYTES, SHELL_TREE_MS } from '../limits.ts';
import type { GatewayMetrics } from '../metrics.ts';
import type { ShellHandler } from '../peers/dispatcher.ts';
import type { Peer } from '../peers/peer.ts';
import { ShellOutput } from './shell-output.ts';
import { type ShellCommand, ShellQueue } from './shell-queue.ts';
import { printable, TreeText } from './shell-tree.ts';

/** The span trees, streamed by topology's GetTree. Ends with an error when topology is away. */
export type TreeSource = (request: GetTreeRequest, signal: AbortSignal) => AsyncIterable<GetTreeResponse>;

export interface ShellDependencies {
  readonly clock: Clock;
  readonly metrics: GatewayMetrics;
  readonly treeSource: TreeSource;
  /** `span HOST`: connects, in the dialect of the shell's link; rejects if that fails, or no peer answers there. */
  readonly dial: (target: PeerTarget, connection: Connection) => Promise<unknown>;
  /**
   * msgid of a relay of this gateway by the ids of its link and LNK_CONN, 16 hexadecimal digits; null: it is on another
   * gateway.
   */
  readonly relayMsgid: (linkId: string, lnkConnId: string) => string | null;
}

/** `help`, as the references print it. */
const HELP = [
  'help            Command help',
  'span <host>     Span to target host',
  'tree            Dump spanning tree',
];
/** The circuit reference's help has one line more. */
const HELP_CIRCUIT = '@span <cmd>     Issue via circuit';

/** Runs the commands of the debug shell (protocol.md, "Debug shell"). */
export class Shell implements ShellHandler {
  readonly #deps: ShellDependencies;
  /** The queue of each peer that has sent a command. */
  readonly #queues = new WeakMap<Peer, ShellQueue>();

  constructor(deps: ShellDependencies) {
    this.#deps = deps;
  }

  /** A command as a transaction: answered inside it and ended with DELETE (protocol.md, "Transactions"). */
  open(peer: Peer, tx: Transaction, frame: Frame): void {
    tx.handler = DISCARD;
    this.#take(peer, frame, new ShellOutput(peer.connection, tx, null));
  }

  /** A one-way command; `circuit`: the open transaction that it names as its circuit. */
  oneWay(peer: Peer, frame: Frame, circuit: Transaction | null): void {
    this.#take(peer, frame, new ShellOutput(peer.connection, null, circuit));
  }

  #take(peer: Peer, frame: Frame, output: ShellOutput): void {
    const { metrics } = this.#deps;
    const text = decodeShellText(frame);
    metrics.shellCommands++;
    if (text.length > SHELL_TEXT_BYTES) {
      metrics.shellRefused++;
      output.line('Command too long');
      output.end();
      return;
    }
    if (this.#queueOf(peer).push({ text, output })) return;
    metrics.shellRefused++;
    output.line('Too many commands');
    output.end();
  }

  #queueOf(peer: Peer): ShellQueue {
    let queue = this.#queues.get(peer);
    if (queue === undefined) {
      queue = new ShellQueue(SHELL_QUEUE_LENGTH, (command) => this.#run(peer.connection, command));
      this.#queues.set(peer, queue);
    }
    return queue;
  }

  /** Runs a command. null: it is done already. */
  #run(connection: Connection, { text, output }: ShellCommand): Promise<void> | null {
    if (output.gone) return null;
    const [word = '', argument = ''] = text.split(/[ \t\r\n]+/).filter((part) => part !== '');
    switch (word) {
      case 'tree':
        return this.#tree(connection, output).finally(() => output.end());
      case 'span':
        return this.#span(connection, argument, output).finally(() => output.end());
      case 'help':
        for (const line of HELP) output.line(line);
        if (connection.endpoint?.rules.stacked === true) output.line(HELP_CIRCUIT);
        break;
      case '':
        break;
      default:
        output.line(`Unrecognized command: ${printable(word)}`);
    }
    output.end();
    return null;
  }

  async #tree(connection: Connection, output: ShellOutput): Promise<void> {
    const { dialect } = connection;
    if (dialect === null) return;
    const { stacked } = rulesOf(dialect);
    const text = new TreeText({ stacked }, this.#deps.relayMsgid);
    const abort = new AbortController();
    const request = { dialect: apiDialect(dialect), clusterId: '', withRelays: stacked };
    let parts: AsyncIterator<GetTreeResponse> | null = null;
    try {
      parts = this.#deps.treeSource(request, abort.signal)[Symbol.asyncIterator]();
      for (;;) {
        const part = await this.#inTime(parts.next());
        if (part.done === true) return;
        for (const line of text.lines(part.value)) {
          await output.room();
          if (output.gone) return;
          output.line(line);
        }
      }
    } catch {
      output.line('The tree is not available: topology cannot be reached');
    } finally {
      abort.abort();
      // Not awaited: a source that hangs would never return.
      parts?.return?.().catch(() => {});
    }
  }

  /** Awaits a part of topology's answer; rejects if it takes too long. */
  async #inTime<T>(answer: Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    const deadline = this.#deps.clock.after(SHELL_TREE_MS, () => late.reject(new Error('too late')));
    try {
      return await Promise.race([answer, late.promise]);
    } finally {
      deadline.cancel();
    }
  }

  async #span(connection: Connection, host: string, output: ShellOutput): Promise<void> {
    // The references print C's null for a missing host.
    const shown = host === '' ? '(null)' : printable(host);
    const target = parsePeerTarget(host);
    try {
      if (target === null) throw new Error('no such target');
      await this.#deps.dial(target, connection);
      output.line(`Connected to ${shown}`);
    } catch {
      output.line(`Connection to ${shown} failed`);
    }
  }
}
