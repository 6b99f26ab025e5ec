/** How often it is looked whether npm's shell is still there, ms. */
const LOOK_MS = 500;

/**
 * npm runs a command in a shell, and passes a signal that it gets to that shell alone: without a word to the command,
 * `kill` of `npx spanmesh …` would leave it running, and its ports taken. Started by `npx` or `npm start`, and by those
 * only, this process therefore ends in order when who has started it is gone.
 */
export function endWithNpm() {
  if (!['exec', 'start'].includes(process.env.npm_command ?? '')) return;
  const parent = process.ppid;
  const looking = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(looking);
    process.kill(process.pid, 'SIGTERM');
  }, LOOK_MS);
  looking.unref();
}
