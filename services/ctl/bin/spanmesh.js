#!/usr/bin/env node
// Plain JavaScript for any Node from 20 on: the rest of spanmesh is TypeScript, which Node runs as it is from 24 on. An
// older Node hands over to the one that the npm package `node` (a dependency) brings along.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as modules from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endWithNpm } from './npm-parent.js';

/** First major version of Node that runs TypeScript without a flag and without a warning. */
const NEEDED_MAJOR = 24;
/** Set for the Node that is handed over to: if that one is too old as well, there is no third. */
const HANDED_OVER = 'SPANMESH_HANDED_OVER';

if (Number(process.versions.node.split('.')[0]) >= NEEDED_MAJOR) {
  if (process.env[HANDED_OVER] === undefined) endWithNpm();
  else endWithLauncher();
  delete process.env[HANDED_OVER];
  // What was compiled is kept beside what npm has installed, where nobody else writes: half of the time that a start
  // takes.
  modules.enableCompileCache(fileURLToPath(new URL('../../../node_modules/.cache/spanmesh', import.meta.url)));
  const { main } = await import('@spanmesh/ctl/main');
  const exitCode = await main(process.argv.slice(2));
  // A service that is stopped by a signal sets its own.
  if (exitCode !== 0) process.exitCode = exitCode;
} else {
  handOver(findNode());
}

/**
 * Path of the binary of the npm package `node`, or undefined if it is not installed (or its install script did not
 * run).
 */
function findNode() {
  if (process.env[HANDED_OVER] !== undefined) return undefined;
  try {
    const manifest = modules.createRequire(import.meta.url).resolve('node/package.json');
    const binary = join(dirname(manifest), 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}

/** A launcher that is killed passes nothing on: then this process ends in order, as if it had been told to. */
function endWithLauncher() {
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  // A command that has nothing more to do ends, launcher or not.
  process.channel?.unref();
}

/** @param {string | undefined} binary */
function handOver(binary) {
  if (binary === undefined) {
    fail(
      `needs Node ${NEEDED_MAJOR} or newer, this is ${process.version}; ` +
        '`npm install` in the directory of spanmesh brings one along',
    );
    return;
  }
  endWithNpm();
  // With the options of Node that this one was started with.
  const child = spawn(binary, [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    // The channel says nothing. It ends with this process, however that ends.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, [HANDED_OVER]: '1' },
  });
  // A terminal sends Ctrl-C to the whole process group. Passed on as well, it would come twice, and the second one
  // means "now, by force".
  const atTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']) {
    const fromTerminal = signal === 'SIGINT' || signal === 'SIGQUIT';
    process.on(signal, () => {
      if (!(fromTerminal && atTerminal)) child.kill(signal);
    });
  }
  child.on('error', (error) => fail(`cannot run ${binary}: ${error.message}`));
  child.on('exit', (code, signal) => {
    if (signal === null) {
      process.exit(code ?? 1);
    }
    // End as the child ended, so that a caller sees the same.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    // Not reached unless the signal is one that cannot end us.
    setTimeout(() => process.exit(128 + (constants.signals[signal] ?? 0)), 100);
  });
}

/** @param {string} line */
function fail(line) {
  process.stderr.write(`spanmesh: ${line}\n`);
  process.exitCode = 1;
}
