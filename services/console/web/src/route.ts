import { signal } from '@preact/signals';

/** The parts of the address behind `#/`: `['node', 'id']`. */
export const route = signal(read());

function read(): readonly string[] {
  const parts = location.hash.replace(/^#\/?/, '').split('/');
  return parts.map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return '';
    }
  });
}

addEventListener('hashchange', () => {
  route.value = read();
});

/** The address of a view. */
export function address(...parts: readonly string[]): string {
  return `#/${parts.map(encodeURIComponent).join('/')}`;
}
