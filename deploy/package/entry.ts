#!/usr/bin/env node
import { main } from '@spanmesh/ctl/main';
import { endWithNpm } from '../../services/ctl/bin/npm-parent.js';

endWithNpm();
const exitCode = await main(process.argv.slice(2));
// A service that is stopped by a signal sets its own.
if (exitCode !== 0) process.exitCode = exitCode;
