import { type ServerUnaryCall, type ServerWritableStream, type sendUnaryData, status } from '@grpc/grpc-js';
import {
  type GetTargetRequest,
  type GetTargetResponse,
  type ListTargetsRequest,
  type ListTargetsResponse,
  type RemoveTargetRequest,
  type RemoveTargetResponse,
  type SetTargetRequest,
  type SetTargetResponse,
  Target,
  VolconfService,
  type WatchTargetsRequest,
  type WatchTargetsResponse,
} from '@spanmesh/proto/v1/volconf';
import { FakeServer } from './grpc-server.fixture.ts';

const MEDIA = '8a2e1c5e-0000-4000-8000-0000000000ff';

export const SLOT_TARGET = Target.fromPartial({
  name: `${MEDIA}/3`,
  origin: 1,
  path: 'span:192.0.2.9',
  state: 2,
  since: new Date(Date.UTC(2026, 0, 31, 12, 0, 1)),
  dialect: 2,
  attempts: 4,
  lastError: 'refused \x1b[2J',
  lastErrorAt: new Date(Date.UTC(2026, 0, 31, 12, 0, 2)),
  nextTry: new Date(Date.UTC(2026, 0, 31, 12, 0, 7)),
  slot: {
    mediaId: MEDIA,
    index: 3,
    copyId: 3,
    flags: 1,
    priority: 0x8f,
    label: 'DATA',
    heldBack: true,
    remotePfsType: 6,
  },
});

export const OPERATOR_TARGET = Target.fromPartial({
  name: 'lab',
  origin: 2,
  path: 'span:lab.example:988',
  state: 3,
  gateway: 'gw.1',
  connection: 'gw.1:7',
  remoteAddress: '192.0.2.7:988',
  generation: 2,
});

export type TargetWatchCall = ServerWritableStream<WatchTargetsRequest, WatchTargetsResponse>;
type Unary<Q, R> = (call: ServerUnaryCall<Q, R>, callback: sendUnaryData<R>) => void;

/** A Volconf service with targets in memory. */
export class FakeVolconf {
  readonly server: FakeServer;
  targets: Target[] = [SLOT_TARGET, OPERATOR_TARGET];
  /** Name of a target that cannot be set. */
  refuses = '';
  readonly listed: ListTargetsRequest[] = [];
  readonly sets: SetTargetRequest[] = [];
  /** What happens to each watch, in turn; the last one stays open. */
  readonly watches: ((call: TargetWatchCall) => void)[] = [];

  constructor() {
    const listTargets: Unary<ListTargetsRequest, ListTargetsResponse> = ({ request }, callback) => {
      this.listed.push(request);
      // One target a page, to test that all pages are fetched.
      const at = Number(request.pageToken);
      const nextPageToken = at + 1 < this.targets.length ? String(at + 1) : '';
      callback(null, { targets: this.targets.slice(at, at + 1), nextPageToken });
    };
    const getTarget: Unary<GetTargetRequest, GetTargetResponse> = ({ request: { name } }, callback) => {
      const target = this.targets.find((known) => known.name === name);
      if (target === undefined) callback({ code: status.NOT_FOUND, details: `no target ${name}` });
      else callback(null, { target });
    };
    const setTarget: Unary<SetTargetRequest, SetTargetResponse> = ({ request }, callback) => {
      if (request.name === this.refuses) {
        callback({ code: status.INVALID_ARGUMENT, details: 'The path makes no sense.' });
        return;
      }
      this.sets.push(request);
      callback(null, { target: Target.fromPartial({ ...request, origin: 2, state: 2 }) });
    };
    const removeTarget: Unary<RemoveTargetRequest, RemoveTargetResponse> = ({ request: { name } }, callback) => {
      const rest = this.targets.filter((known) => known.name !== name);
      if (rest.length === this.targets.length) callback({ code: status.NOT_FOUND, details: `no target ${name}` });
      else callback(null, {});
      this.targets = rest;
    };
    const watchTargets = (call: TargetWatchCall): void => this.watches.shift()?.(call);
    this.server = new FakeServer(VolconfService, { listTargets, getTarget, setTarget, removeTarget, watchTargets });
  }
}
