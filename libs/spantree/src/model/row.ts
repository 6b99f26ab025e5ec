/** Slots by which a dense row grows at least, so that LNK_CONNs that come one by one do not copy every row each time. */
const ROW_STEP = 16;
/** Slots up to which a row is dense however little is in it: half a kilobyte at a width of one. */
export const DENSE_SLOTS = 128;
/** A row becomes sparse when fewer of its cells than one in so many would be in use, and takes at most 16 bytes a cell in use then. */
const SPARSE_PART = 8;
/** A sparse row becomes dense when one in so many would be in use: it takes no more memory then. */
const DENSE_PART = 2;
/** Cells by which a sparse row grows at least. */
const SPARSE_STEP = 8;

const NO_CELLS = new Int32Array(0);

/**
 * What the last selection took of a node for each LNK_CONN, by the LNK_CONN's slot, in no order within a slot. A cell is 0 (empty), the ref of
 * a link whose relay is open, or minus the ref of a link whose relay the peer has refused.
 *
 * Rows are most of what the trees take of the memory: there are as many as nodes, and as many slots as LNK_CONNs. A row of which much is in
 * use is dense: `width` cells a slot, four bytes each, as long as the highest slot in use. Where few of very many LNK_CONNs take the node (ten
 * thousand leafs, each for its cluster) it is sparse: cells sorted by slot, eight bytes each. Either way the memory follows the relays that
 * there are, and not the nodes times the LNK_CONNs.
 *
 * Whoever looks at the cells of a slot goes from `begin` to `end` and may `set` them; `put` and `trim` move them.
 */
export class Row {
  #cells: Int32Array = NO_CELLS;
  /** Cells that are not empty. */
  #inUse = 0;
  /** Cells of a slot, if dense. */
  #width = 1;
  /** If sparse: the slot of each cell, ascending. */
  #slots: Int32Array | undefined;
  /** If sparse: how many cells there are. */
  #sparseLength = 0;

  /** Cells to look at from 0 on, empty ones included. */
  get length(): number {
    return this.#slots === undefined ? this.#cells.length : this.#sparseLength;
  }

  /** Bytes that its cells take. */
  get bytes(): number {
    return this.#cells.byteLength + (this.#slots?.byteLength ?? 0);
  }

  /** Index of the slot's first cell, or of where it would be. */
  begin(slot: number): number {
    if (this.#slots === undefined) return slot * this.#width;
    return lowerBound(this.#slots, this.#sparseLength, slot);
  }

  /** Index after the slot's last cell; not above `begin` if it has none. */
  end(slot: number, begin: number): number {
    const slots = this.#slots;
    if (slots === undefined) return Math.min(begin + this.#width, this.#cells.length);
    let end = begin;
    while (end < this.#sparseLength && slots[end] === slot) end++;
    return end;
  }

  /** What a cell holds. */
  at(at: number): number {
    return numberAt(this.#cells, at);
  }

  /** Changes what a cell holds. */
  set(at: number, value: number): void {
    if (this.#cells[at] !== 0) this.#inUse--;
    if (value !== 0) this.#inUse++;
    this.#cells[at] = value;
  }

  /** Gives memory back that what was taken away has made needless. */
  trim(): void {
    const { length } = this.#cells;
    if (length > DENSE_SLOTS && this.#inUse * SPARSE_PART * 2 < length) this.#toSparse();
  }

  /** The slot that a cell belongs to. */
  slotAt(at: number): number {
    return this.#slots?.[at] ?? Math.floor(at / this.#width);
  }

  /** Index of the cell of `slot` that holds `value` (a ref, minus a ref, or 0 for an empty one), or -1. */
  find(slot: number, value: number): number {
    const begin = this.begin(slot);
    const end = this.end(slot, begin);
    for (let at = begin; at < end; at++) if (this.#cells[at] === value) return at;
    return -1;
  }

  /** Puts `value` into an empty cell of `slot`; the row grows as needed. `slots`: how many slots there are in all. */
  put(slot: number, value: number, slots: number): void {
    let at = this.find(slot, 0);
    if (at < 0) {
      if (this.#slots === undefined) this.#growDense(slot, slots);
      // Either of the two may have changed what it is.
      if (this.#slots !== undefined) this.#insertSparse(slot);
      at = this.find(slot, 0);
    }
    this.set(at, value);
  }

  /** Makes place for one more cell of the slot, if that is what the row is to be. */
  #growDense(slot: number, slots: number): void {
    const had = this.#cells.length / this.#width;
    if (slot < had) {
      this.#reshape(had, this.#width + 1);
      return;
    }
    const length = Math.max(slot + 1, Math.min(had * 2, slots));
    this.#reshape(Math.ceil(length / ROW_STEP) * ROW_STEP, this.#width);
  }

  #reshape(slots: number, width: number): void {
    const cells = this.#cells;
    if (slots > DENSE_SLOTS && this.#inUse * SPARSE_PART < slots * width) {
      this.#toSparse();
      return;
    }
    const reshaped = new Int32Array(slots * width);
    if (width === this.#width) reshaped.set(cells);
    else {
      for (let at = 0; at < cells.length; at++) {
        reshaped[Math.floor(at / this.#width) * width + (at % this.#width)] = numberAt(cells, at);
      }
    }
    this.#cells = reshaped;
    this.#width = width;
  }

  #toSparse(): void {
    const cells = this.#cells;
    const capacity = this.#inUse + SPARSE_STEP;
    const sparse = new Int32Array(capacity);
    const slots = new Int32Array(capacity);
    let length = 0;
    for (let at = 0; at < cells.length; at++) {
      const cell = numberAt(cells, at);
      if (cell === 0) continue;
      sparse[length] = cell;
      slots[length++] = this.slotAt(at);
    }
    this.#cells = sparse;
    this.#slots = slots;
    this.#sparseLength = length;
  }

  /** An empty cell of the slot, unless the row becomes dense and has one. */
  #insertSparse(slot: number): void {
    if (this.#sparseLength === this.#cells.length) this.#growSparse(slot);
    const slots = this.#slots;
    if (slots === undefined) return;
    const at = this.end(slot, this.begin(slot));
    slots.copyWithin(at + 1, at, this.#sparseLength);
    this.#cells.copyWithin(at + 1, at, this.#sparseLength);
    slots[at] = slot;
    this.#cells[at] = 0;
    this.#sparseLength++;
  }

  /** Drops empty cells and makes place; or makes the row dense, with an empty cell of `slot`. */
  #growSparse(slot: number): void {
    const cells = this.#cells;
    const slots = this.#slots ?? NO_CELLS;
    let length = 0;
    let run = 0;
    let widest = 1;
    let highest = slot;
    for (let at = 0; at < this.#sparseLength; at++) {
      const cell = numberAt(cells, at);
      const of = numberAt(slots, at);
      if (cell === 0) continue;
      run = length > 0 && slots[length - 1] === of ? run + 1 : 1;
      widest = Math.max(widest, of === slot ? run + 1 : run);
      highest = Math.max(highest, of);
      cells[length] = cell;
      slots[length++] = of;
    }
    this.#sparseLength = length;
    if (length * DENSE_PART >= (highest + 1) * widest) {
      this.#toDense(Math.ceil((highest + 1) / ROW_STEP) * ROW_STEP, widest);
      return;
    }
    const capacity = length + Math.max(SPARSE_STEP, length >> 1);
    if (capacity > cells.length) {
      this.#cells = lengthened(cells, capacity);
      this.#slots = lengthened(slots, capacity);
    }
  }

  #toDense(slots: number, width: number): void {
    const dense = new Int32Array(slots * width);
    const sparse = this.#slots ?? NO_CELLS;
    let run = 0;
    for (let at = 0; at < this.#sparseLength; at++) {
      const slot = numberAt(sparse, at);
      run = at > 0 && sparse[at - 1] === slot ? run + 1 : 0;
      dense[slot * width + run] = numberAt(this.#cells, at);
    }
    this.#cells = dense;
    this.#slots = undefined;
    this.#sparseLength = 0;
    this.#width = width;
  }
}

/** A number that is there: `?? 0` is for the type. Calls of it are inlined. */
function numberAt(numbers: Int32Array, at: number): number {
  return numbers[at] ?? 0;
}

/** Index of the first of `length` ascending numbers that is not below `value`. */
function lowerBound(numbers: Int32Array, length: number, value: number): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numberAt(numbers, middle) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function lengthened(cells: Int32Array, capacity: number): Int32Array {
  const longer = new Int32Array(capacity);
  longer.set(cells);
  return longer;
}
