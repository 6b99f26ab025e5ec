/** Something that ends when its return path closes. */
export interface ReturnPathUser {
  /** The relay that is the return path is about to close. */
  returnPathClosing(): void;
}
