// What is said about samples: median, quartiles, and how sure the ratio of two medians is. Pure.

export interface Summary {
  readonly count: number;
  readonly median: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
}

export interface Ratio {
  readonly value: number;
  /** 95 % confidence interval by bootstrap; undefined for fewer than five samples on a side. */
  readonly interval: readonly [low: number, high: number] | undefined;
}

const resamples = 4_000;
const fewestForInterval = 5;

/** The value below which the part `at` (0 to 1) of the samples lies, between two samples by straight line. */
export function quantile(samples: readonly number[], at: number): number {
  if (samples.length === 0) throw new Error("no samples");
  const sorted = Float64Array.from(samples).sort();
  const position = (sorted.length - 1) * at;
  const below = sorted[Math.floor(position)] as number;
  const above = sorted[Math.ceil(position)] as number;
  return below + (above - below) * (position - Math.floor(position));
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

export function summarise(samples: readonly number[]): Summary {
  return {
    count: samples.length,
    median: median(samples),
    lowerQuartile: quantile(samples, 0.25),
    upperQuartile: quantile(samples, 0.75),
  };
}

/**
 * The ratio of a quantile (the median when none is given) of `ours` to that of `theirs`. The interval is found by drawing
 * samples of the same size from each side anew, with replacement, by a generator that always draws the same.
 */
export function ratioOf(ours: readonly number[], theirs: readonly number[], at = 0.5): Ratio {
  const value = quantile(ours, at) / quantile(theirs, at);
  if (Math.min(ours.length, theirs.length) < fewestForInterval) return { value, interval: undefined };
  const random = generator(1);
  const draw = (samples: readonly number[]): number =>
    quantile(
      samples.map(() => samples[Math.floor(random() * samples.length)] as number),
      at,
    );
  const ratios = Array.from({ length: resamples }, () => draw(ours) / draw(theirs));
  if (!ratios.every(Number.isFinite)) return { value, interval: undefined };
  return { value, interval: [quantile(ratios, 0.025), quantile(ratios, 0.975)] };
}

/** Numbers from 0 to below 1 by a linear congruence modulo 2^32; good enough to draw samples by. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
