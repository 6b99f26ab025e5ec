/** Whatever ends with a return path. */
export interface ReturnPathUser {
  /** The relay is about to close. */
  returnPathClosing(): void;
}
