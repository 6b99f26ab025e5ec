import { VERSION } from '@spanmesh/runtime/version';
import { Command } from 'commander';
import { addAddressOptions } from './api-options.ts';
import { addCapture } from './commands/capture.ts';
import { addCerts } from './commands/certs.ts';
import { addClusters } from './commands/clusters.ts';
import { addCompletion } from './commands/completion.ts';
import { addConfig } from './commands/config.ts';
import { addConns } from './commands/conns.ts';
import { addContext } from './commands/context.ts';
import { addDebug } from './commands/debug.ts';
import { addEvents } from './commands/events.ts';
import { addExplain } from './commands/explain.ts';
import { addGateways } from './commands/gateways.ts';
import { addHelp } from './commands/help.ts';
import { addKeys } from './commands/keys.ts';
import { addLinks } from './commands/links.ts';
import { addLogLevel } from './commands/log-level.ts';
import { addMigrate } from './commands/migrate.ts';
import { addNodes } from './commands/nodes.ts';
import { addPing } from './commands/ping.ts';
import { addRelays } from './commands/relays.ts';
import { addRun } from './commands/run.ts';
import { addSend } from './commands/send.ts';
import { addShell } from './commands/shell.ts';
import { addSim } from './commands/sim.ts';
import { addStatus } from './commands/status.ts';
import { addTokens } from './commands/tokens.ts';
import { addTop } from './commands/top.ts';
import { addTrace } from './commands/trace.ts';
import { addTree } from './commands/tree.ts';
import { addVolconf } from './commands/volconf.ts';
import { addWatch } from './commands/watch.ts';
import { argumentText, optionText } from './reference/parameter-text.ts';
import type { Terminal } from './terminal.ts';

/**
 * The whole command line. The files in commands/ only declare: each imports its implementation when it is called, so
 * that `--help` and `--version` do not load gRPC.
 */
export function buildProgram(terminal: Terminal): Command {
  const program = new Command('spanmesh')
    .description('A DMSG cluster controller that runs as a cluster.')
    .version(VERSION, '-V, --version', 'print the version and exit')
    .helpOption('-h, --help', 'print this help and exit')
    // Options after a command's name are the command's own: a service's flags must not be taken for the program's.
    .enablePositionalOptions()
    .showHelpAfterError('(try --help)')
    .configureHelp({ optionDescription: optionText, argumentDescription: argumentText })
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out.write(text),
      writeErr: (text) => terminal.err.write(text.replace(/^error: /, 'spanmesh: ')),
    });
  addAddressOptions(program);
  addRun(program, terminal);
  addStatus(program, terminal);
  addTree(program, terminal);
  addWatch(program, terminal);
  addTop(program, terminal);
  addEvents(program, terminal);
  addClusters(program, terminal);
  addNodes(program, terminal);
  addLinks(program, terminal);
  addConns(program, terminal);
  addRelays(program, terminal);
  addGateways(program, terminal);
  addExplain(program, terminal);
  addTrace(program, terminal);
  addPing(program, terminal);
  addShell(program, terminal);
  addSend(program, terminal);
  addCapture(program, terminal);
  addVolconf(program, terminal);
  addLogLevel(program, terminal);
  addContext(program, terminal);
  addConfig(program, terminal);
  addDebug(program, terminal);
  addKeys(program, terminal);
  addCerts(program, terminal);
  addTokens(program, terminal);
  addMigrate(program, terminal);
  addSim(program, terminal);
  addCompletion(program, terminal);
  addHelp(program);
  return program;
}
