import { registerHooks } from 'node:module';

// Starts a standalone, stops it, and prints which packages of OpenTelemetry our own code has imported meanwhile. The
// library for metrics imports the interfaces (`@opentelemetry/api`) by itself.

const asked = new Set<string>();
registerHooks({
  resolve: (specifier, context, next) => {
    const isOurs = context.parentURL?.includes('/node_modules/') === false;
    if (isOurs && specifier.startsWith('@opentelemetry/')) asked.add(specifier);
    return next(specifier, context);
  },
});

const { startStandalone } = await import('@spanmesh/standalone/standalone');
const standalone = await startStandalone(process.env as Record<string, string>);
await standalone.stop();
process.stdout.write(`${JSON.stringify([...asked].sort())}\n`);
