/**
 * How long a state has lasted, in seconds, written in the two largest units that matter: `45 s`, `3 min`, `2 h 5 min`,
 * `3 d 4 h`.
 */
export function ageText(seconds: number): string {
  const [minutes, hours, days] = [60, 3600, 86_400].map((unit) => Math.floor(seconds / unit)) as [
    number,
    number,
    number,
  ];
  if (days > 0) return `${days} d ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  return minutes > 0 ? `${minutes} min` : `${seconds} s`;
}
