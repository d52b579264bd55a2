// The address lists of a running gateway: watched, and read again when they change. Says what became of them.
import { Effect, type Scope } from "effect"
import { watch } from "./config/watch.ts"
import { addressLists, type ListStatus } from "./limit/address-lists.ts"
import type { Log } from "./observe/log.ts"

export interface FollowedLists {
  /** Looks at the lists now. */
  readonly look: () => Promise<void>
  /** Policies were loaded, which may have brought other lists. */
  readonly refresh: () => void
  readonly status: () => readonly ListStatus[]
}

/** @param again called when policies that could not be loaded for their lists may be loaded now */
export const followAddressLists = (log: Log, again: () => void): Effect.Effect<FollowedLists, never, Scope.Scope> =>
  Effect.gen(function* () {
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        addressLists.follow({
          info: (message) => log.info(message),
          warn: (message) => log.warn(message),
          error: (message) => log.error(message),
          again,
        }),
      ),
      (following) => Effect.sync(() => following[Symbol.dispose]()),
    )
    const watching = yield* Effect.acquireRelease(
      Effect.sync(() =>
        watch(
          () => addressLists.folders(),
          () => void addressLists.look(),
        ),
      ),
      (watching) => Effect.sync(() => watching.close()),
    )
    return {
      look: () => addressLists.look(),
      refresh: () => watching.refresh(),
      status: () => addressLists.status(),
    }
  })
