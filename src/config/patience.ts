// How long a load waits for the code of policies that waits itself.

export class Patience implements Disposable {
  private readonly quiet: number
  private readonly over = Promise.withResolvers<void>()
  private timer: ReturnType<typeof setTimeout> | undefined
  private disposed = false

  /** @param quiet ends after so many milliseconds in which nothing became ready; Infinity waits for everything */
  constructor(quiet: number) {
    this.quiet = quiet
    this.restart()
  }

  /** Waits until the work has settled or the patience is over. Rejects when the work does. */
  async for(work: Promise<void>): Promise<void> {
    try {
      await Promise.race([work, this.over.promise])
    } finally {
      this.restart()
    }
  }

  [Symbol.dispose](): void {
    this.disposed = true
    clearTimeout(this.timer)
  }

  private restart(): void {
    clearTimeout(this.timer)
    if (this.disposed || this.quiet === Infinity) return
    this.timer = setTimeout(this.over.resolve, this.quiet)
  }
}

/** Waits, but at most for so many milliseconds. */
export async function atMost(milliseconds: number, work: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, milliseconds)
  await Promise.race([work, promise]).finally(() => clearTimeout(timer))
}
