import { createRequire } from 'node:module';

/** Version of the software, semantic: that of the packages, which are released together. */
export const VERSION: string = (createRequire(import.meta.url)('../package.json') as { version: string }).version;
