// Waiting that ends: for the code of policies that does not.

/** The evaluation of a file, its `setup` or a disposal took too long, or nobody wants it any more. */
export class GivenUp extends Error {
  override readonly name = "GivenUp"
}

/** Waits for `work`, but not longer than `limit` milliseconds, nor after one of the signals aborts, whose reason says why. */
export async function within<T>(
  limit: number,
  what: string,
  work: Promise<T>,
  ...signals: readonly AbortSignal[]
): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new GivenUp(`${what} took longer than ${limit / 1000} seconds`)), limit)
  const abort = () => {
    const reason: unknown = signals.find(({ aborted }) => aborted)?.reason
    reject(new GivenUp(`${what} was given up: ${String(reason)}`))
  }
  for (const signal of signals) {
    signal.addEventListener("abort", abort)
    if (signal.aborted) abort()
  }
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
    for (const signal of signals) signal.removeEventListener("abort", abort)
  }
}
