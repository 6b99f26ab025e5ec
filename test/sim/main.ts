import { replaceGlobals } from './platform/globals.ts';
import { replaceModules } from './platform/hooks.ts';

// These must run before any module is loaded that keeps a reference to what they replace.
replaceModules();
replaceGlobals();
const { main } = await import('./cli.ts');
process.exitCode = await main(process.argv.slice(2));
