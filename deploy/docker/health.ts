// HEALTHCHECK of the image: exit code 0 while the event loop of the process runs. Readiness is another question
// (/readyz, asked with `node health.ts readyz`): a container that waits for others is not ill.
const path = process.argv[2] ?? 'livez';
/** Less than the time-out of the HEALTHCHECK, so that the reason is in its log. */
const PATIENCE_MS = 4000;

/** Address of the HTTP port, as this container reaches it itself. */
function address(): string {
  const listen = process.env.SPANMESH_HTTP_LISTEN ?? '';
  const colon = listen.lastIndexOf(':');
  const host = listen.slice(0, colon);
  const reached = host === '0.0.0.0' ? '127.0.0.1' : host === '[::]' ? '[::1]' : host;
  return `${reached}${listen.slice(colon)}`;
}

try {
  const answer = await fetch(`http://${address()}/${path}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
  console.log((await answer.text()).trim());
  process.exitCode = answer.ok ? 0 : 1;
} catch (error) {
  console.log(error instanceof Error ? `${error.message} ${String(error.cause ?? '')}` : String(error));
  process.exitCode = 1;
}

export {};
