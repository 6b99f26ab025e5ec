#!/usr/bin/env node
import { main } from '@spanmesh/ctl/main';

const exitCode = await main(process.argv.slice(2));
// A service that is stopped by a signal sets its own.
if (exitCode !== 0) process.exitCode = exitCode;
