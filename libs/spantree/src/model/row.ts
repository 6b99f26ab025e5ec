/**
 * A dense row grows by at least this many slots, so that LNK_CONNs that come one by one do not copy every row each
 * time.
 */
const ROW_STEP = 16;
/** A row of at most this many slots is dense, however few cells are in use: half a kilobyte at a width of one. */
export const DENSE_SLOTS = 128;
/**
 * A row becomes sparse when fewer than one in this many of its cells would be in use. It then takes at most 16 bytes
 * for a cell in use.
 */
const SPARSE_PART = 8;
/**
 * A sparse row becomes dense when at least one in this many cells would be in use: it does not take more memory then.
 */
const DENSE_PART = 2;
/** A sparse row grows by at least this many cells. */
const SPARSE_STEP = 8;

const NO_CELLS = new Int32Array(0);

/**
 * The result of the last selection for one node and each LNK_CONN. A LNK_CONN is identified by its slot, which has one
 * or more cells, in no particular order. A cell is 0 (empty), the ref of a link whose relay is open, or minus the ref
 * of a link whose relay the peer has refused. Rows take most of the trees' memory: there is one for each node, with a
 * slot for each LNK_CONN. A row with many cells in use is dense: `width` cells a slot, four bytes each, up to the
 * highest slot in use. Where few of very many LNK_CONNs take the node (ten thousand leafs, each for its cluster) it is
 * sparse: cells sorted by slot, eight bytes each. So memory grows with the number of relays, and not with nodes times
 * LNK_CONNs. To look at the cells of a slot, go from `begin` to `end`; `set` may be called meanwhile, but `put` and
 * `trim` move cells.
 */
export class Row {
  #cells: Int32Array = NO_CELLS;
  /** Cells that are not empty. */
  #inUse = 0;
  /** If dense: cells a slot. */
  #width = 1;
  /** If sparse: the slot of each cell, ascending. */
  #slots: Int32Array | undefined;
  /** If sparse: number of cells. */
  #sparseLength = 0;

  /** Number of cells, empty ones included. */
  get length(): number {
    return this.#slots === undefined ? this.#cells.length : this.#sparseLength;
  }

  /** Bytes of memory that the cells take. */
  get bytes(): number {
    return this.#cells.byteLength + (this.#slots?.byteLength ?? 0);
  }

  /** Index of the slot's first cell, or of where it would be. */
  begin(slot: number): number {
    if (this.#slots === undefined) return slot * this.#width;
    return lowerBound(this.#slots, this.#sparseLength, slot);
  }

  /** Index after the slot's last cell; not above `begin` if the slot has no cells. */
  end(slot: number, begin: number): number {
    const slots = this.#slots;
    if (slots === undefined) return Math.min(begin + this.#width, this.#cells.length);
    let end = begin;
    while (end < this.#sparseLength && slots[end] === slot) end++;
    return end;
  }

  /** The value of a cell. */
  at(at: number): number {
    return numberAt(this.#cells, at);
  }

  /** Sets the value of a cell. */
  set(at: number, value: number): void {
    if (this.#cells[at] !== 0) this.#inUse--;
    if (value !== 0) this.#inUse++;
    this.#cells[at] = value;
  }

  /** Makes the row sparse if that frees enough memory. Call it after values were removed. */
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

  /**
   * Puts `value` into an empty cell of `slot`; the row grows as needed. `slots`: number of slots in use in the tables.
   */
  put(slot: number, value: number, slots: number): void {
    let at = this.find(slot, 0);
    if (at < 0) {
      if (this.#slots === undefined) this.#growDense(slot, slots);
      // growDense and insertSparse may each have changed the row's form.
      if (this.#slots !== undefined) this.#insertSparse(slot);
      at = this.find(slot, 0);
    }
    this.set(at, value);
  }

  /** Makes room for one more cell of the slot, or makes the row sparse if that takes less memory. */
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
    // Behind the last cell of a sparse row there are copies of cells that were moved.
    const { length: end } = this;
    let length = 0;
    for (let at = 0; at < end; at++) {
      const cell = numberAt(cells, at);
      if (cell === 0) continue;
      sparse[length] = cell;
      slots[length++] = this.slotAt(at);
    }
    this.#cells = sparse;
    this.#slots = slots;
    this.#sparseLength = length;
  }

  /** Adds an empty cell for the slot. If the row becomes dense instead, the slot has one anyway. */
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

  /** Drops empty cells and makes room; or makes the row dense, with an empty cell for `slot`. */
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

/** The number at an index that is always in range; `?? 0` satisfies the type checker. Calls are inlined. */
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
