/** CPU time that this thread has used, in seconds: what one core needs, whatever else the machine does. */
export function threadSeconds(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e6;
}
