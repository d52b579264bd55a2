// One evaluated version of one policy file: its module instances, its exports, what its setup made, and who holds it.
import { isEffect, runScoped } from "../policy/run-effect.ts"
import type { PolicyExports } from "./exports.ts"
import type { Held } from "./instances.ts"
import type { PolicyVersion } from "./snapshot.ts"

/** The evaluation of a file, its `setup` or a disposal took too long, or the gateway ended meanwhile. */
export class GivenUp extends Error {
  override readonly name = "GivenUp"
}

/** Waits for `work`, but not longer than `limit` milliseconds, nor after `signal` aborts. */
export async function within<T>(limit: number, what: string, work: Promise<T>, signal?: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new GivenUp(`${what} took longer than ${limit / 1000} seconds`)), limit)
  const abort = () => reject(new GivenUp(`${what} was given up: the gateway ends`))
  signal?.addEventListener("abort", abort)
  if (signal?.aborted) abort()
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener("abort", abort)
  }
}

interface Resources {
  readonly value: unknown
  readonly release: () => void | Promise<void>
}

export interface VersionFacts {
  readonly file: string
  readonly path: string
  readonly hash: string
  readonly savedAt: number
  readonly held: Held
  readonly exports: PolicyExports
}

/** What a version needs when it ends. */
export interface Releasing {
  /** Milliseconds that `setup` and a disposal may take. */
  readonly limit: number
  /** Aborts when the gateway ends. */
  readonly signal: AbortSignal
  /** The resources are being disposed; `work` rejects when that fails. */
  readonly disposing: (version: Version, work: Promise<void>) => void
  /** The code is unloaded. */
  readonly released: (version: Version) => void
}

export class Version {
  readonly facts: VersionFacts
  readonly failures = { count: 0, logged: new Set<string>() }
  private readonly releasing: Releasing
  private resources: Resources | undefined
  private made: PolicyVersion | undefined
  private holders = 0
  private users = 0

  constructor(facts: VersionFacts, releasing: Releasing) {
    this.facts = facts
    this.releasing = releasing
  }

  /** Whether `setup` is still to run. */
  get waits(): boolean {
    return this.facts.exports.setup !== undefined && this.resources === undefined
  }

  /** Runs `setup`; rejects with what it throws. */
  async setup(): Promise<void> {
    if (this.waits) this.resources = await settle(this.facts.exports.setup!, this.releasing)
  }

  /** The version as the data path sees it: the same object as long as its resources live. */
  ready(): PolicyVersion {
    const { exports, file, hash, path } = this.facts
    this.made ??= Object.freeze({
      file,
      path,
      version: hash,
      listen: exports.listen,
      deadline: exports.deadline,
      connect: exports.connect,
      closed: exports.closed,
      resources: this.resources?.value,
      failures: this.failures,
    })
    return this.made
  }

  /** Keeps the code loaded. */
  hold(): void {
    this.holders++
  }

  drop(): void {
    if (--this.holders > 0) return
    this.facts.held.release()
    this.releasing.released(this)
  }

  /** Keeps the code loaded and what `setup` made alive: it serves, or connections that it decided about live on. */
  use(): void {
    this.hold()
    this.users++
  }

  unuse(): void {
    this.users--
    this.disposeUnused()
    this.drop()
  }

  /** Disposes what `setup` made when nothing uses it; the next {@link setup} makes it anew. */
  disposeUnused(): void {
    const { resources } = this
    if (this.users > 0 || resources === undefined) return
    this.resources = undefined
    this.made = undefined
    this.releasing.disposing(this, within(this.releasing.limit, "the disposal", Promise.try(resources.release)))
  }
}

async function settle(setup: () => unknown, { limit, signal }: Releasing): Promise<Resources> {
  const abort = new AbortController()
  const work = Promise.try(setup).then((value) =>
    isEffect(value) ? runScoped(value, abort.signal) : { value, release: () => disposeOf(value) },
  )
  try {
    return await within(limit, "setup", work, signal)
  } catch (error) {
    if (error instanceof GivenUp) {
      abort.abort(error)
      // What comes too late is nobody's.
      work.then(({ release }) => release()).catch(ignoreLate)
    }
    throw error
  }
}

/** The setup was given up and reported; how it ends later is of no interest to anybody. */
function ignoreLate(): void {}

function disposeOf(value: unknown): void | Promise<void> {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return undefined
  const resource = value as Partial<AsyncDisposable & Disposable>
  if (typeof resource[Symbol.asyncDispose] === "function") return Promise.resolve(resource[Symbol.asyncDispose]!())
  return resource[Symbol.dispose]?.()
}
