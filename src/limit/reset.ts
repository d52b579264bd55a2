// What tests do to the limits of their process.
import { milliseconds, type Duration } from "../policy/duration.ts"
import { MemoryStore } from "./memory-store.ts"
import { names } from "./names.ts"

/** Forgets what all limits of this process have counted; limits that are made already count from the start again. */
export function resetLimits(): void {
  names.restart()
}

/** Lets time go by for rate limits, at once. @throws DurationInvalid; TypeError where limits are not counted in memory */
export function advanceLimits(duration: Duration): void {
  const { store } = names
  if (!(store instanceof MemoryStore)) throw new TypeError("advanceLimits: limits are not counted in memory here")
  store.advance(milliseconds(duration, "advanceLimits"))
}
