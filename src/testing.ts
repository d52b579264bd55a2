// PUBLIC: `import ... from "tidegate/testing"`. Policies tested as functions, under `bun test` and `deno test` alike:
// no API of one runtime is used, and effect is imported only for a policy that answers with an Effect.
import { readExports, type PolicyExports } from "./config/exports.ts"
import { whileAsking } from "./limit/claims.ts"
import { ask, messageOf } from "./policy/ask.ts"
import type { CloseReason, Policy } from "./policy/connection.ts"
import type { Answer } from "./policy/decision.ts"
import { setUp, type Resources } from "./policy/set-up.ts"
import { FactsInvalid, simulate, type Facts, type Simulated } from "./policy/simulated.ts"
import { listenerMet } from "./policy/simulated-start.ts"
import { GivenUp } from "./policy/within.ts"

export { advanceLimits, resetLimits } from "./limit/reset.ts"
export {
  FactsInvalid,
  type CertificateFacts,
  type Facts,
  type HelloFacts,
  type PostgresFacts,
  type ProxyGiven,
  type TerminatedFacts,
} from "./policy/simulated.ts"

/** A policy's module (`import * as policy from "./hello.ts"`), its default export, or its `on_tcp_connect` alone. */
export type Tested = Policy | { readonly default: Policy } | Policy["on_tcp_connect"]

/** What is known of the connection; `to` may be left out for a policy that has a `listen`. */
export interface ConnectFacts extends Omit<Facts, "to"> {
  /**
   * The listener, like `"tcp://:5432"` or `"tls://db.example.com:443"`.
   * @default of those that the policy listens on, the one that is asked about the client's server name, else the first
   */
  readonly to?: string
  /** The policy's second argument. With it, `setup` is not run. */
  readonly resources?: unknown
}

/**
 * What the policy did. A connection that it denied or answered has ended; any other is open until it is closed, and counts
 * in a `concurrencyLimit` until then.
 */
export interface Connected extends Disposable {
  /** The decision, or `next`. */
  readonly decision: Answer
  /** The fields that the policy logged, merged in order. */
  readonly log: Readonly<Record<string, unknown>>
  /** What the policy left in `connection.vars`. */
  readonly vars: ReadonlyMap<string, unknown>
  /** Ends the connection. `on_tcp_close` is not called. */
  close(): void
}

/** `connect` rejects with it when the gateway would close the connection because of the policy. */
export class PolicyFailed extends Error {
  override readonly name = "PolicyFailed"
  /** `policy-failed`, `policy-timeout`, `preread-timeout`, `preread-too-large`, `hello-invalid` or `tls-handshake-failed`. */
  readonly closeReason: CloseReason

  constructor(closeReason: CloseReason, message: string, cause: unknown) {
    super(`${closeReason}: ${message}`, { cause })
    this.closeReason = closeReason
  }
}

/** 10 seconds: as the gateway gives `setup`. */
const SETUP_DEADLINE = 10_000

/** 16 MiB: a body that goes on is an endless one. */
const LONGEST_BODY = 16 * 1024 * 1024

/** Its data can be compared as a whole: what ends it is no part of that. */
class Made implements Connected {
  readonly decision: Answer
  readonly log: Connected["log"]
  readonly vars: Connected["vars"]
  readonly #end: () => void

  constructor(decision: Answer, { close, connection, log }: Simulated) {
    this.decision = decision
    this.log = Object.assign({}, ...log.all())
    this.vars = connection.vars
    this.#end = close
  }

  close(): void {
    this.#end()
  }

  [Symbol.dispose](): void {
    this.#end()
  }
}

/**
 * Asks a policy about a connection. Nothing is opened: no socket, no upstream. `setup` is run before and what it made
 * is released afterwards, unless `facts.resources` is given. Limits count over all connections of a process, as in the
 * gateway: {@link resetLimits} before a test lets it begin anew.
 *
 * What the client would have to send fails at once as it would after its time; a Promise or an Effect has the policy's
 * own deadline, in real time.
 * @throws PolicyFailed, FactsInvalid (also where the gateway asks no policy), TypeError for what is no policy
 */
export async function connect(policy: Tested, facts: ConnectFacts): Promise<Connected> {
  const { connect: asked, deadline, listen, setup } = await exportsOf(policy)
  const { resources: given, to, ...rest } = facts
  const simulated = simulate({ ...rest, to: to ?? listenerMet(listen ?? nowhere(), rest) })
  const { close, refused } = simulated
  if (refused !== undefined) throw new FactsInvalid(`no policy is asked, ${refused.reason}: ${refused.message}`)
  const { value: resources, release }: Resources =
    "resources" in facts || setup === undefined ? { value: given, release: () => {} } : await resourcesOf(setup)
  // What the gateway refuses while a connection waits for its decision is refused here too.
  const connect: typeof asked = (connection, value) => whileAsking(() => asked(connection, value))
  try {
    const { said, outcome } = await ask([{ file: "policy", connect, deadline, resources }], simulated)
    const { answer } = said[0]!
    if (answer?.action !== "route" && answer?.action !== "next") close()
    if (outcome.kind === "failed") throw new PolicyFailed(outcome.reason, outcome.message, outcome.cause)
    return new Made(answer!, simulated)
  } finally {
    await release()
  }
}

/** The body of a `respond`, as text. @throws TypeError for another decision, RangeError past 16 MiB */
export async function bodyText(decision: Answer): Promise<string> {
  return new TextDecoder().decode(await bodyBytes(decision))
}

/** The body of a `respond`, as bytes. @throws TypeError for another decision, RangeError past 16 MiB */
export async function bodyBytes(decision: Answer): Promise<Uint8Array> {
  if (decision.action !== "respond") throw new TypeError(`the decision is ${decision.action}, which has no body`)
  const { body } = decision
  const encoder = new TextEncoder()
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of typeof body === "string" || body instanceof Uint8Array ? [body] : body) {
    const bytes = typeof chunk === "string" ? encoder.encode(chunk) : chunk
    length += bytes.length
    if (length > LONGEST_BODY) throw new RangeError(`the body is longer than ${LONGEST_BODY} bytes; is it endless?`)
    chunks.push(bytes)
  }
  const whole = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

/**
 * Reads the policy's exports as the gateway does: what would be no policy there is none here. Pools are left to the
 * gateway and `tidegate check`: they are checked by effect, which a test may not have.
 */
async function exportsOf(tested: Tested): Promise<PolicyExports> {
  const isModule = Object.prototype.toString.call(tested) === "[object Module]"
  const found = await readExports(isModule ? { ...tested } : { default: tested }, async () => new Map())
  if ("connect" in found) return found
  throw new TypeError(found.map(({ message }) => message).join("\n"))
}

function nowhere(): never {
  throw new TypeError(
    'the policy has no listen, so the facts must say where the client connects, like to: "tcp://:5432"',
  )
}

async function resourcesOf(setup: () => unknown): Promise<Resources> {
  try {
    return await setUp(setup, { limit: SETUP_DEADLINE })
  } catch (cause) {
    const message = cause instanceof GivenUp ? cause.message : `setup: ${messageOf(cause)}`
    throw new PolicyFailed("policy-failed", message, cause)
  }
}
