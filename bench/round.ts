// Turns: every figure is taken from all sides alternately, so that a drift of the machine hits all alike.

import type { Side } from "./side.ts";

/** How the bench runs: all of it or a short look, and where it tells what it is doing. */
export interface Extent {
  readonly isQuick: boolean;
  /** One line of progress; throws when the bench is to end. */
  tell(text: string): void;
}

export interface Turns {
  /** For the progress line: "B1 start". */
  readonly name: string;
  readonly rounds: number;
  /** Rounds before those that count. */
  readonly warmUps?: number;
  /** A side that has used up so many milliseconds rests from then on: it has fewer samples. */
  readonly budgetMs?: number;
}

/** Calls `measure` for each side once in each round; the order is turned round each time. */
export async function takeTurns(
  sides: readonly Side[],
  turns: Turns,
  { tell }: Extent,
  measure: (side: Side, counts: boolean, round: number) => Promise<void>,
): Promise<void> {
  const { name, rounds, warmUps = 1, budgetMs = Number.POSITIVE_INFINITY } = turns;
  const spentMs = new Map<Side, number>();
  for (let round = -warmUps; round < rounds; round++) {
    tell(`${name}: ${Math.max(0, round + 1)} of ${rounds}`);
    for (const side of round % 2 === 0 ? sides : [...sides].reverse()) {
      const spent = spentMs.get(side) ?? 0;
      if (spent > budgetMs && round > 0) continue;
      const began = performance.now();
      await measure(side, round >= 0, round);
      spentMs.set(side, spent + performance.now() - began);
    }
  }
}
