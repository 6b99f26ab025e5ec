const UNITS = ['', 'k', 'M', 'G', 'T', 'P'] as const;

/** A number of 0 or more with three digits and a unit of thousands: `0`, `0.25`, `7.5`, `999`, `1.23k`, `45.6M`. */
export function quantity(value: number): string {
  let unit = 0;
  let scaled = value;
  // A number that rounds to a thousand is written in the next unit.
  while (scaled >= 999.5 && unit < UNITS.length - 1) {
    scaled /= 1000;
    unit++;
  }
  // From a hundred on there are no digits behind the point.
  const digits = scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2;
  return `${Number(scaled.toFixed(digits))}${UNITS[unit]}`;
}
