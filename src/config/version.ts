// One evaluated version of one file: its module instances, its contents, what its setup made, and who holds it.
import { setUp, type Resources } from "../policy/set-up.ts"
import { within } from "../policy/within.ts"
import type { Contents } from "./contents.ts"
import type { Held } from "./instances.ts"
import type { PolicyVersion } from "./snapshot.ts"

export interface VersionFacts {
  readonly file: string
  readonly path: string
  readonly hash: string
  readonly savedAt: number
  readonly held: Held
  readonly contents: Contents
}

/** What a version needs of the loader, from its start to its end. */
export interface Releasing {
  /** Milliseconds that `setup` and a disposal may take. */
  readonly limit: number
  /** Aborts when the gateway ends. */
  readonly signal: AbortSignal
  /** There is a new version. */
  readonly made: (version: Version) => void
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
  private preparing: Promise<void> | undefined
  private underWay = false
  private readonly gone = new AbortController()
  private made: readonly PolicyVersion[] | undefined
  private holders = 0
  private users = 0

  constructor(facts: VersionFacts, releasing: Releasing) {
    this.facts = facts
    this.releasing = releasing
    releasing.made(this)
  }

  /** Whether `setup` is still to run. */
  get waits(): boolean {
    return this.facts.contents.setup !== undefined && this.resources === undefined
  }

  /** Whether `setup` has begun and has not settled. */
  get settingUp(): boolean {
    return this.underWay
  }

  /** Runs `setup`, once until what it made is disposed; rejects with what it throws. */
  setup(): Promise<void> {
    this.preparing ??= this.prepare()
    return this.preparing
  }

  /** Whom the data path asks: the same objects as long as the resources live. */
  policies(): readonly PolicyVersion[] {
    const { contents, file, hash, path } = this.facts
    const { pools, rules, setup } = contents
    this.made ??= rules.map(({ closed, connect, deadline, last, listen, title }) =>
      Object.freeze({
        file,
        title,
        path,
        version: hash,
        listen,
        last,
        deadline,
        pools,
        connect,
        closed,
        hasSetup: setup !== undefined,
        resources: this.resources?.value,
        failures: this.failures,
      }),
    )
    return this.made
  }

  /** Keeps the code loaded. */
  hold(): void {
    this.holders++
  }

  drop(): void {
    if (--this.holders > 0) return
    // A setup that nobody waited for may be under way, or may have made what nobody has used.
    this.gone.abort("a newer text has come")
    this.disposeUnused()
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
    this.preparing = undefined
    this.made = undefined
    this.dispose(resources)
  }

  private async prepare(): Promise<void> {
    const { setup } = this.facts.contents
    if (setup === undefined) return
    const { limit, signal } = this.releasing
    const gone = this.gone.signal
    const late = (resources: Resources) => this.dispose(resources)
    this.underWay = true
    try {
      const resources = await setUp(setup, { limit, signals: [signal, gone], late })
      if (gone.aborted) late(resources)
      else this.resources = resources
    } finally {
      this.underWay = false
    }
  }

  private dispose({ release }: Resources): void {
    this.releasing.disposing(this, within(this.releasing.limit, "the disposal", Promise.try(release)))
  }
}
