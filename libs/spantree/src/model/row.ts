/*
 * A node's row holds what the last selection took for each LNK_CONN: `rowWidth` cells from slot * rowWidth on, in no
 * order. A cell is 0 (empty), the ref of a link whose relay is open, or minus the ref of a link whose relay the peer has
 * refused. Four bytes a cell; rows are as long as the highest slot that they have ever held, and as wide as they had to be.
 */

/** Slots by which a row grows at least, so that LNK_CONNs that come one by one do not copy every row each time. */
const ROW_STEP = 16;

/** Of a node, its row. */
export interface Rowed {
  row: Int32Array;
  rowWidth: number;
}

/** Index of the cell of `slot` that holds `value` (a ref, minus a ref, or 0 for an empty one), or -1. */
export function findCell(node: Rowed, slot: number, value: number): number {
  const { row, rowWidth } = node;
  const end = Math.min((slot + 1) * rowWidth, row.length);
  for (let at = slot * rowWidth; at < end; at++) if (row[at] === value) return at;
  return -1;
}

/** Puts `value` into an empty cell of `slot`; the row grows as needed. `slots`: how many slots there are in all. */
export function putCell(node: Rowed, slot: number, value: number, slots: number): void {
  if ((slot + 1) * node.rowWidth > node.row.length) lengthen(node, slot, slots);
  let at = findCell(node, slot, 0);
  if (at < 0) {
    widenRow(node, node.rowWidth + 1);
    at = findCell(node, slot, 0);
  }
  node.row[at] = value;
}

/** Makes place for `width` links a slot. */
export function widenRow(node: Rowed, width: number): void {
  const { row, rowWidth } = node;
  const slots = row.length / rowWidth;
  const wider = new Int32Array(slots * width);
  for (let slot = 0; slot < slots; slot++) {
    for (let i = 0; i < rowWidth; i++) wider[slot * width + i] = row[slot * rowWidth + i] ?? 0;
  }
  node.row = wider;
  node.rowWidth = width;
}

function lengthen(node: Rowed, slot: number, slots: number): void {
  const doubled = Math.min((node.row.length / node.rowWidth) * 2, slots);
  const length = Math.ceil(Math.max(slot + 1, doubled) / ROW_STEP) * ROW_STEP;
  const longer = new Int32Array(length * node.rowWidth);
  longer.set(node.row);
  node.row = longer;
}
