import type { RefObject } from 'preact';
import { useEffect, useState } from 'preact/hooks';

/** Rows drawn beyond the visible ones, on each side. */
const MARGIN_ROWS = 12;

/** The rows of a long list that must be drawn, [first, end), in a scrolling element with rows of equal height. */
export function useWindow(box: RefObject<HTMLElement | null>, rows: number, rowPx: number): readonly [number, number] {
  const [{ top, height }, setView] = useState({ top: 0, height: 800 });
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const look = (): void => setView({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener('scroll', look, { passive: true });
    look();
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', look);
    };
  }, [box]);
  const first = Math.max(0, Math.min(Math.floor(top / rowPx), rows) - MARGIN_ROWS);
  const end = Math.min(rows, Math.ceil((top + height) / rowPx) + MARGIN_ROWS);
  return [first, end];
}
