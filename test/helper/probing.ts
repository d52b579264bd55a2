// Probes as tests make them: one check of one target, and its verdict as a text.
import { Effect } from "effect"
import type { HealthSpec } from "../../src/policy/pool.ts"
import { parseTarget } from "../../src/policy/target.ts"
import { Contexts } from "../../src/tls/contexts.ts"
import { probe, type ProbeContext } from "../../src/upstream/probe.ts"
import type { ProbeFailed } from "../../src/upstream/probe-failed.ts"

/** 30 s unless a test wants the time-out: nobody waits for it. */
const LONG = 30_000

const contexts = new Contexts()

export type Check = HealthSpec["check"]

export function probing(
  target: string,
  check: Check,
  context: Partial<ProbeContext> = {},
  spec: Partial<HealthSpec> = {},
): Effect.Effect<void, ProbeFailed> {
  return probe(
    parseTarget(target),
    { check, interval: 1000, jitter: 0, timeout: LONG, rise: 1, fall: 1, port: undefined, ...spec },
    {
      resolve: (host) => Promise.reject(new Error(`nobody knows ${host}`)),
      tls: undefined,
      secureContext: (tls) => contexts.forUpstream(tls),
      ...context,
    },
  )
}

/** `"alive"`, or why not. */
export function verdict(...args: Parameters<typeof probing>): Promise<string> {
  return Effect.runPromise(
    Effect.match(probing(...args), { onSuccess: () => "alive", onFailure: ({ message }) => message }),
  )
}

/** Ends when the target is alive; a server listens before it serves. */
export async function becomesAlive(...args: Parameters<typeof probing>): Promise<void> {
  for (;;) if ((await verdict(...args)) === "alive") return
}
