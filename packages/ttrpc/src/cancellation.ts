// "Nobody waits for this any more": what a handler is given to notice it, and what a caller makes to say it.

export interface Cancellation {
  readonly cancelled: boolean;
  /** Calls fn once when (or, at once, if already) cancelled; returns a function that takes the listener away. */
  onCancel(fn: () => void): () => void;
}

/** A Cancellation with its switch. Cancelling twice does nothing. */
export class CancelSource implements Cancellation {
  cancelled = false;
  #listeners: Set<() => void> | undefined;

  onCancel(fn: () => void): () => void {
    if (this.cancelled) {
      fn();
      return () => undefined;
    }
    this.#listeners ??= new Set();
    const listener = () => fn();
    this.#listeners.add(listener);
    return () => void this.#listeners?.delete(listener);
  }

  cancel(): void {
    if (this.cancelled) return;
    this.cancelled = true;
    const listeners = this.#listeners;
    this.#listeners = undefined;
    listeners?.forEach((fn) => {
      try {
        fn();
      } catch (thrown) {
        // The others are called all the same; whoever looks after rejections that nobody handles gets to hear of it.
        void Promise.reject(thrown);
      }
    });
  }
}
