// The memory that all connections of one server hold for their peers: frames that are half here, requests under way, and
// answers not taken. There is one amount for all, and whoever wants more of it must not hold more than is left for the
// others. So one greedy peer gets half, two that grow side by side a third each, and a newcomer always finds something.

/** What each connection may hold whatever the others do: some dozens of plain calls. */
export const freeShareBytes = 8 << 10;

export class Budget {
  readonly totalBytes: number;
  usedBytes = 0;

  constructor(totalBytes: number) {
    this.totalBytes = totalBytes;
  }
}

/** One connection's part. */
export class Share {
  heldBytes = 0;
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** Whether so much more may be held. */
  fits(bytes: number): boolean {
    const after = this.heldBytes + bytes;
    return after <= freeShareBytes || after <= this.#budget.totalBytes - this.#budget.usedBytes;
  }

  /** Takes so much if it fits. */
  take(bytes: number): boolean {
    if (!this.fits(bytes)) return false;
    this.hold(bytes);
    return true;
  }

  /** Of what is here already, fit or not. */
  hold(bytes: number): void {
    this.heldBytes += bytes;
    this.#budget.usedBytes += bytes;
  }

  give(bytes: number): void {
    this.hold(-bytes);
  }
}
