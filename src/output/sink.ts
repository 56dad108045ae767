/** Where a report goes. Writing never throws into a run: what went wrong is told by `close`. */
export interface Sink {
  /** For messages: the file, or `stdout`. */
  readonly name: string;
  /** A promise when the other side is slow: wait for it before writing much more. */
  write(text: string): void | Promise<void>;
  /** All is written and stays; rejects when it could not be. */
  close(): Promise<void>;
  /** Nothing of it stays, where that is possible. */
  discard(): Promise<void>;
}
