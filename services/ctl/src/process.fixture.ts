import { type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import {
  type ListProcessesRequest,
  type ListProcessesResponse,
  ProcessInfo,
  ProcessService,
  type SetLogLevelRequest,
  type SetLogLevelResponse,
} from '@spanmesh/proto/v1/process';
import { FakeServer } from './grpc-server.fixture.ts';

type Unary<Q, R> = (call: ServerUnaryCall<Q, R>, callback: sendUnaryData<R>) => void;

export const TOPOLOGY_PROCESS = ProcessInfo.fromPartial({
  id: 'topology-a-7',
  service: 'topology',
  version: '0.1.0',
  protocolVersion: 1,
  host: 'a',
  pid: 7,
  logLevel: 'info',
  configuredLogLevel: 'info',
  leads: ['topology'],
});

export const GATEWAY_PROCESS = ProcessInfo.fromPartial({
  ...TOPOLOGY_PROCESS,
  id: 'link-gateway-a-8',
  service: 'link-gateway',
  gateway: 'gw-1.0badcafe',
  pid: 8,
  leads: [],
});

/** Handlers of a Process service that answers from its fields. */
export class FakeProcesses {
  processes: ProcessInfo[] = [GATEWAY_PROCESS, TOPOLOGY_PROCESS];
  alone = false;
  unreached: string[] = [];
  readonly sets: SetLogLevelRequest[] = [];
  readonly definition = ProcessService;
  readonly implementation = {
    listProcesses: ((_call, callback) => {
      callback(null, { processes: this.processes, answeredBy: TOPOLOGY_PROCESS.id, alone: this.alone, natsCopies: [] });
    }) as Unary<ListProcessesRequest, ListProcessesResponse>,
    setLogLevel: (({ request }, callback) => {
      this.sets.push(request);
      const fits = this.processes.filter(({ service }) => request.service === '' || request.service === service);
      if (fits.length === 0) {
        callback({ code: status.NOT_FOUND, details: 'No process that answers fits.' });
        return;
      }
      const logLevelUntil = new Date(Date.UTC(2026, 0, 31, 12));
      const processes = fits.map((p) => ({ ...p, logLevel: request.level, logLevelUntil, logLevelBy: '\x1b ann' }));
      callback(null, { processes, alone: this.alone, unreached: this.unreached });
    }) as Unary<SetLogLevelRequest, SetLogLevelResponse>,
  };
  readonly server = new FakeServer(this.definition, this.implementation);
}
