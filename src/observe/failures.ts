// What policies do wrong while they run, and what we do: logged once per version and message, then counted, so that a
// broken policy under load neither floods the log nor ends the gateway.
import type { PolicyVersion } from "../config/snapshot.ts"
import { readable } from "../policy/thrown.ts"
import { guardExit } from "./exit-guard.ts"
import type { Log } from "./log.ts"
import type { Watchdog } from "./watchdog.ts"

/** 20 different messages per version: a policy whose messages carry an id would write one per connection. */
const MESSAGES = 20
/** 5 identical internal errors in a row say as much as 5,000. */
const INTERNAL = 100

/** 1 second: a file that loads for longer is worth a line. */
const LOADING_MS = 1000

/** Which version's code an error came from, and where. `asked`: the policy that was asked, when that is known. */
export type Attribute = (error: unknown, asked?: PolicyVersion) => Attributed | undefined

export interface Attributed {
  readonly policy: PolicyFailures
  readonly position?: string | undefined
  /** Several failures may share the position: it is only that of the function. */
  readonly vague?: boolean
}

export interface PolicyFailures {
  readonly file: string
  readonly version: string
  readonly failures: PolicyVersion["failures"]
}

export class Failures {
  private readonly log: Pick<Log, "error" | "info" | "warn">
  private readonly watchdog: Pick<Watchdog, "enter" | "loading" | "register">
  private readonly ids = new WeakMap<PolicyVersion, number>()
  private attribute: Attribute = () => undefined
  private warned: ReadonlySet<string> = new Set()
  private reported = ""
  private bad = false
  /** What files wait for, and since when, until it is logged. */
  private waiting = new Map<string, number | undefined>()
  private readonly internal = new Map<string, number>()

  constructor(log: Failures["log"], watchdog: Failures["watchdog"]) {
    this.log = log
    this.watchdog = watchdog
  }

  attributeBy(attribute: Attribute): void {
    this.attribute = attribute
  }

  /** A policy's synchronous code begins: the watchdog knows whose. */
  enter(policy: PolicyVersion): void {
    let id = this.ids.get(policy)
    if (id === undefined) {
      id = this.watchdog.register(policy.file)
      this.ids.set(policy, id)
    }
    this.watchdog.enter(id)
  }

  /** A file is about to be evaluated. */
  loading(file: string): void {
    this.watchdog.loading(this.watchdog.register(file))
  }

  /** A policy threw, rejected, returned nonsense or did not answer. */
  policyFailed(policy: PolicyVersion, error: unknown): void {
    this.count({ ...this.find(error, policy), policy }, error)
  }

  /** Rejections that nobody handles and throws in timers end no gateway: they are a policy's, or a bug of ours. */
  catchStray(): Disposable {
    const stray = (error: unknown) => {
      const found = this.find(error)
      if (found === undefined) this.internalError(error)
      else this.count(found, error)
    }
    process.on("unhandledRejection", stray)
    process.on("uncaughtException", stray)
    const guard = guardExit()
    return {
      [Symbol.dispose]: () => {
        process.off("unhandledRejection", stray)
        process.off("uncaughtException", stray)
        guard[Symbol.dispose]()
      },
    }
  }

  /** Where an error comes from; reading it may throw, because it may be anything. */
  private find(error: unknown, asked?: PolicyVersion): Attributed | undefined {
    try {
      return this.attribute(error, asked)
    } catch {
      return this.attribute(readable(error), asked)
    }
  }

  /** Something that cannot happen did. */
  internalError(error: unknown): void {
    const shown = readable(error)
    const text = shown.stack || shown.message
    const seen = this.internal.get(text) ?? 0
    if (this.internal.size < INTERNAL || seen > 0) this.internal.set(text, seen + 1)
    if (seen === 0 && this.internal.size < INTERNAL) this.log.error(`internal error: ${text}`)
  }

  /**
   * The problems of the folder, when they are others than the last time, and the warnings that are new.
   * @param loading what files wait for that are neither good nor bad yet: logged when it has lasted for a while
   */
  report(problems: readonly string[], loading: readonly string[], warnings: readonly string[] = []): void {
    this.reportLoading(loading)
    for (const warning of warnings) if (!this.warned.has(warning)) this.log.warn(warning)
    this.warned = new Set(warnings)
    const all = problems.join("\n")
    if (all !== this.reported) for (const problem of problems) this.log.error(problem)
    this.reported = all
    if (problems.length > 0) this.bad = true
    else if (this.bad && loading.length === 0) {
      this.bad = false
      this.log.info("all policy files are good again")
    }
  }

  private reportLoading(loading: readonly string[]): void {
    const now = performance.now()
    const before = this.waiting
    this.waiting = new Map(loading.map((text) => [text, before.has(text) ? before.get(text) : now]))
    for (const [text, since] of this.waiting) {
      if (since === undefined || now - since < LOADING_MS) continue
      this.waiting.set(text, undefined)
      this.log.info(text)
    }
  }

  private count({ policy, position, vague }: Attributed, error: unknown): void {
    const { failures } = policy
    failures.count++
    const shown = readable(error)
    const message = error instanceof Error ? `${shown.name}: ${shown.message}` : `threw ${shown.message}`
    // A message may carry what differs from connection to connection; the place does not.
    const key = position === undefined || vague === true ? message : position
    if (failures.logged.has(key) || failures.logged.size >= MESSAGES) return
    failures.logged.add(key)
    const more = failures.logged.size === MESSAGES ? "; further messages of this version are only counted" : ""
    this.log.error(`${position ?? policy.file}: ${message}${more}`, { file: policy.file, version: policy.version })
  }
}
