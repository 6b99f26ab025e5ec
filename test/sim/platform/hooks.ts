import { registerHooks } from 'node:module';

/** Modules of Node that the services import → their simulated replacements. */
const REPLACED: Readonly<Record<string, string>> = {
  'node:net': './net.ts',
  'node:crypto': './crypto.ts',
};

/** Call once, before any module of the services is loaded. Imports of packages are not replaced. */
export function replaceModules(): void {
  registerHooks({
    resolve(specifier, context, next) {
      const instead = REPLACED[specifier];
      const from = context.parentURL ?? '';
      if (instead === undefined || from.includes('/node_modules/') || from.includes('/test/sim/')) {
        return next(specifier, context);
      }
      return next(new URL(instead, import.meta.url).href, context);
    },
  });
}
