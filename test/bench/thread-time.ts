/** CPU time that this thread has used, in seconds. It does not depend on what else the machine does. */
export function threadSeconds(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e6;
}
