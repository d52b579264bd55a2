// Follows what the DNS says of a target: asks, waits as long as the answer holds, and asks again, for ever. What it said
// last stands while it says nothing: a target that is really gone fails its checks and its connections, and a pool
// without targets helps nobody. Only an SRV record which says that there is no such service takes all of them away.
import { Effect, Random, Result } from "effect"
import type { Dns } from "./dns.ts"
import type { NothingFound } from "./dns-failed.ts"
import { recordsOf, type DnsRecord, type Followed, type Heard } from "./records.ts"

export type { DnsRecord, Followed } from "./records.ts"

/** 1 s, also for answers that hold for no time at all: DNS servers of service discovery say 0. */
const SHORTEST = 1000
/** 5 minutes: a name that moves is noticed by then, whatever its record says. */
const LONGEST = 300_000
/** 1, 2, 4 to 30 s after failures in a row; 30 s at most too after the word that there is nothing, which may hold for hours. */
const FIRST_RETRY = 1000
const LONGEST_RETRY = 30_000
/** Up to a tenth later, so that many names do not stay in step. Never earlier: the answer would be the same. */
const JITTER = 0.1
/** 1,000 records of a name; an answer of 64 KiB has some 4,000. */
const MOST_RECORDS = 1000

export interface FollowOptions {
  readonly dns: Dns
  /** Called with the first answer and with every other one that differs, in an order that does not change by itself. */
  readonly onRecords: (records: readonly DnsRecord[]) => void
  /** Called once with what is wrong, in place of records or beside those that stand; `undefined` once nothing is. */
  readonly onProblem: (problem: string | undefined) => void
}

/** Follows a `dns://` or `srv://` source until it is interrupted. */
export const follow = (source: Followed, { dns, onProblem, onRecords }: FollowOptions): Effect.Effect<never> =>
  Effect.suspend(() => {
    const ask = recordsOf(source, dns)
    let known: string | undefined
    let failures = 0
    let trouble: Trouble = "none"

    const tell = (now: Trouble, problem: string | undefined) => {
      if (now !== trouble) onProblem(problem)
      trouble = now
    }
    const heard = ({ problem, records, ttl }: Heard): number => {
      const used = records.slice(0, MOST_RECORDS)
      const now = JSON.stringify(used)
      if (now !== known) onRecords(used)
      known = now
      const wait = Math.min(Math.max(ttl * 1000, SHORTEST), LONGEST)
      if (problem !== undefined) return Math.min(failed(problem), wait)
      failures = 0
      if (used.length === records.length) tell("none", undefined)
      else tell("too-many", `${nameOf(source)}: it has ${records.length} records, of which ${MOST_RECORDS} are used`)
      return wait
    }
    const failed = (problem: string): number => {
      tell("failed", problem)
      return Math.min(FIRST_RETRY * 2 ** failures++, LONGEST_RETRY)
    }
    const nothing = ({ message, ttl }: NothingFound): number => {
      failures = 0
      tell("nothing", message)
      return Math.min(Math.max(ttl * 1000, SHORTEST), LONGEST_RETRY)
    }

    const once = Effect.gen(function* () {
      const outcome = yield* Effect.result(ask)
      const wait = Result.isSuccess(outcome)
        ? heard(outcome.success)
        : outcome.failure._tag === "NothingFound"
          ? nothing(outcome.failure)
          : failed(outcome.failure.message)
      yield* Effect.sleep(wait * (1 + JITTER * (yield* Random.next)))
    })
    return Effect.forever(once)
  })

type Trouble = "none" | "failed" | "nothing" | "too-many"

function nameOf(source: Followed): string {
  return source.kind === "dns" ? source.host : source.service
}
