import { replaceGlobals } from './platform/globals.ts';
import { replaceModules } from './platform/hooks.ts';

// Before anything that keeps a reference to what is replaced.
replaceModules();
replaceGlobals();
const { main } = await import('./cli.ts');
process.exitCode = await main(process.argv.slice(2));
