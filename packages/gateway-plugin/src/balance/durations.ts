// Decides: how long the calls of each method take in a network lately, as quantiles.
// Must not know: upstreams, answers.

/** Each bucket ends this much above the one before: a quantile is right within a fifth. */
const BUCKET_RATIO = 1.2;
const LOG_RATIO = Math.log(BUCKET_RATIO);
const FIRST_BUCKET_MS = 1;
/** Up to 1.2 ^ 75 ms, which is a quarter of an hour. */
const BUCKETS = 76;

/** Fewer say nothing about a 99th percentile. */
const SAMPLES_MIN = 20;

/** At so many samples all are halved, so that what was long ago fades. */
const SAMPLES_MAX = 2000;

/** Clients may make up any number of methods: a further one takes the place of the rarest. */
const METHODS_MAX = 256;

interface Histogram {
  readonly counts: number[];
  total: number;
}

export class Durations {
  readonly #methods = new Map<string, Histogram>();

  record(method: string, ms: number): void {
    const histogram = this.#methods.get(method) ?? this.#add(method);
    const bucket = Math.ceil(Math.log(ms / FIRST_BUCKET_MS) / LOG_RATIO);
    const at = Math.min(BUCKETS - 1, Math.max(0, bucket));
    histogram.counts[at] = (histogram.counts[at] ?? 0) + 1;
    histogram.total++;
    if (histogram.total >= SAMPLES_MAX) halve(histogram);
  }

  /** The time in ms within which this share of the calls was answered; null while too few are known. */
  quantileMs(method: string, share: number): number | null {
    const histogram = this.#methods.get(method);
    if (!histogram || histogram.total < SAMPLES_MIN) return null;
    let left = histogram.total * share;
    for (let at = 0; at < BUCKETS; at++) {
      left -= histogram.counts[at] ?? 0;
      if (left <= 0) return FIRST_BUCKET_MS * BUCKET_RATIO ** at;
    }
    return FIRST_BUCKET_MS * BUCKET_RATIO ** (BUCKETS - 1);
  }

  #add(method: string): Histogram {
    if (this.#methods.size >= METHODS_MAX) this.#forgetRarest();
    const histogram = { counts: new Array<number>(BUCKETS).fill(0), total: 0 };
    this.#methods.set(method, histogram);
    return histogram;
  }

  #forgetRarest(): void {
    let [rarest] = this.#methods;
    for (const entry of this.#methods) if (rarest && entry[1].total < rarest[1].total) rarest = entry;
    if (rarest) this.#methods.delete(rarest[0]);
  }
}

function halve(histogram: Histogram): void {
  histogram.total = 0;
  for (let at = 0; at < BUCKETS; at++) {
    const half = (histogram.counts[at] ?? 0) / 2;
    histogram.counts[at] = half;
    histogram.total += half;
  }
}
