import { GeneratorPeer } from './generator-peer.ts';
import { residentKb } from './machine.ts';
import { REFERENCE } from './reference.ts';
import { startStandaloneProcess } from './spanmesh-process.ts';
import { printTable, ratio } from './table.ts';

const CONNECTIONS = 5_000;

/** Resident memory that an idle connection with its LNK_CONNs costs a standalone process. */
export async function benchIdleConnections(): Promise<void> {
  const spanmesh = await startStandaloneProcess('circuit', {
    SPANMESH_MAX_CONNECTIONS_PER_ADDRESS: String(CONNECTIONS * 2),
  });
  try {
    // The first connections bring code and tables into memory that the others share.
    let answered = 0;
    let all: () => void = () => {};
    const open = async (connections: number) => {
      const reach = answered + connections;
      const done = new Promise<void>((resolve) => {
        all = () => answered >= reach && resolve();
      });
      for (let i = 0; i < connections; i++) {
        await GeneratorPeer.open(spanmesh.port, 'circuit', `i${i}`, (_peer, _buf, _at, cmd) => {
          if ((cmd & 0xffffff) === 0xfff01) {
            answered++;
            all();
          }
        });
      }
      await done;
    };
    await open(100);
    const before = residentKb(spanmesh.pids[0]!);
    await open(CONNECTIONS);
    const each = (residentKb(spanmesh.pids[0]!) - before) / CONNECTIONS;
    printTable('Memory of an idle connection', [
      ['connections', 'KB each', 'reference KB', 'of reference'],
      [
        String(CONNECTIONS),
        each.toFixed(1),
        String(REFERENCE.idleConnectionKb),
        ratio(each / REFERENCE.idleConnectionKb),
      ],
    ]);
  } finally {
    await spanmesh.stop();
  }
}
