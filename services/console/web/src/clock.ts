import { signal } from '@preact/signals';
import { ageText } from '@spanmesh/ctl/output/age-text';

/** The present time, ms since 1970, updated once a second. */
export const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);

/** How long ago a time was, or in how long it will be; to be called while drawing. */
export function age(time: Date | undefined): string {
  if (time === undefined) return '';
  return ageText(Math.round(Math.abs(now.value - time.getTime()) / 1000));
}

/** `23:59:59`, of this browser's time zone. */
export function timeOfDay(ms: number): string {
  return new Date(ms).toLocaleTimeString([], { hour12: false });
}

/** The time of day, with the date where it is not today. */
export function dateAndTime(ms: number): string {
  const day = new Date(ms).toDateString();
  return day === new Date(now.peek()).toDateString()
    ? timeOfDay(ms)
    : `${new Date(ms).toLocaleDateString()} ${timeOfDay(ms)}`;
}
