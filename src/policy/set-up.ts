// Runs the `setup` of a policy, for the gateway and for `tidegate/testing` alike: no API of one runtime is used.
import { isEffect, runScoped } from "./run-effect.ts"
import { GivenUp, within } from "./within.ts"

/** What a `setup` made. */
export interface Resources {
  readonly value: unknown
  /** Disposes the value, or closes the scope that the Effect ran in. */
  readonly release: () => void | Promise<void>
}

export interface SetUpOptions {
  /** Milliseconds. */
  readonly limit: number
  /** It is given up when one of these aborts. */
  readonly signals?: readonly AbortSignal[]
  /** Gets what comes after it was given up. @default releases it */
  readonly late?: (resources: Resources) => void
}

/**
 * Runs `setup`; rejects with what it throws. One that is given up has its Effect interrupted, and is not waited for.
 * @throws GivenUp
 */
export async function setUp(setup: () => unknown, options: SetUpOptions): Promise<Resources> {
  const { late = release, limit, signals = [] } = options
  const interrupt = new AbortController()
  const work = Promise.try(setup).then((value): Resources | Promise<Resources> =>
    isEffect(value) ? runScoped(value, interrupt.signal) : { value, release: () => disposeOf(value) },
  )
  try {
    return await within(limit, "setup", work, ...signals)
  } catch (error) {
    if (error instanceof GivenUp) {
      interrupt.abort(error)
      work.then(late, ignore)
    }
    throw error
  }
}

function release(resources: Resources): void {
  Promise.try(resources.release).catch(ignore)
}

/** The setup was given up and reported; how it ends later is of no interest to anybody. */
function ignore(): void {}

function disposeOf(value: unknown): void | Promise<void> {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return undefined
  const resource = value as Partial<AsyncDisposable & Disposable>
  if (typeof resource[Symbol.asyncDispose] === "function") return Promise.resolve(resource[Symbol.asyncDispose]!())
  return resource[Symbol.dispose]?.()
}
