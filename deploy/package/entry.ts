#!/usr/bin/env node
import { main } from '@spanmesh/ctl/main';
import { endWithNpm } from '../../services/ctl/bin/npm-parent.js';

endWithNpm();
const exitCode = await main(process.argv.slice(2));
// A service that a signal stops sets an exit code of its own.
if (exitCode !== 0) process.exitCode = exitCode;
