// Medians and spreads. Ratios are formed round by round, so that whatever slows the machine down for a while slows both sides.

export function quantile(sorted, q) {
  const position = (sorted.length - 1) * q
  const low = Math.floor(position)
  const high = Math.ceil(position)
  return sorted[low] + (sorted[high] - sorted[low]) * (position - low)
}

/** Median, quartiles and range of some numbers. */
export function summary(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  return {
    median: quantile(sorted, 0.5),
    least: sorted[0],
    most: sorted.at(-1),
    p25: quantile(sorted, 0.25),
    p75: quantile(sorted, 0.75),
  }
}

/** Nanoseconds below which a share of the samples of an agent's histogram lies. */
export function percentile(buckets, share) {
  const total = buckets.reduce((sum, n) => sum + n, 0)
  let seen = 0
  for (let i = 0; i < buckets.length; i++) {
    seen += buckets[i]
    if (seen >= share * total) return upperBound(i)
  }
  return NaN
}

/** The upper bound, in ns, of a bucket: 16 linear steps in each power of two. */
export function upperBound(bucket) {
  if (bucket < 16) return bucket + 1
  const power = Math.floor(bucket / 16) + 3
  return 2 ** power + ((bucket % 16) + 1) * 2 ** (power - 4)
}
