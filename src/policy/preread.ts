// What reading ahead of the decision, or ending TLS, may cost, and how it fails. Each failure knows its close reason, so that a
// policy which does not catch it still ends the connection under the right name.
import { describe } from "./describe.ts"
import { HandshakeFailed } from "./terminate.ts"

/** 16 KiB: what a policy may ask for; a post-quantum ClientHello is about 1.7 KB, the largest seen 11 KB. */
export const PREREAD_LIMIT = 16_384

/** 3 seconds: how long a client may take for the bytes that a policy asked for. */
export const PREREAD_DEADLINE = 3000

/** `peek` waited for more bytes than came in time. */
export class PrereadTimeout extends Error {
  override readonly name = "PrereadTimeout"
  readonly closeReason = "preread-timeout"
}

/** `peek` was asked for more than {@link PREREAD_LIMIT}. */
export class PrereadTooLarge extends Error {
  override readonly name = "PrereadTooLarge"
  readonly closeReason = "preread-too-large"
}

/** What began as a TLS hello cannot become a valid one. */
export class HelloInvalid extends Error {
  override readonly name = "HelloInvalid"
  readonly closeReason = "hello-invalid"
}

/** 300 milliseconds: a client that says nothing for that long waits for the server to speak first. */
export const PROTOCOL_SILENCE = 300

const FAILURES = [PrereadTimeout, PrereadTooLarge, HelloInvalid, HandshakeFailed]
type Failure = InstanceType<(typeof FAILURES)[number]>

/** Wrapped this deep an error is another one's: each `Effect.tryPromise` or `new Error(..., { cause })` adds one. */
const DEEPEST_CAUSE = 4

/** The close reason of a failure that is the client's, also when the policy wrapped it as the `cause` of its own error. */
export function prereadFailure(error: unknown): Failure["closeReason"] | undefined {
  try {
    let current = error
    for (let depth = 0; depth <= DEEPEST_CAUSE && current instanceof Error; depth++) {
      if (FAILURES.some((failure) => current instanceof failure)) return (current as Failure).closeReason
      current = current.cause
    }
    return undefined
  } catch {
    // A `cause` that throws when it is read is none of ours.
    return undefined
  }
}

/** The value of the one option that there is. @throws TypeError */
export function onlyOption<Name extends string>(
  where: string,
  options: { readonly [name in Name]?: unknown } | undefined,
  name: Name,
): unknown {
  if (options === undefined) return undefined
  if (typeof options !== "object" || options === null)
    throw new TypeError(`${where}: expected options like { ${name}: "1 second" }, found ${describe(options)}`)
  for (const found of Object.keys(options)) {
    if (found !== name)
      throw new TypeError(`${where}: there is no option ${JSON.stringify(found)}; the one that there is is ${name}`)
  }
  return options[name]
}

/** The size that a policy asked `peek` for. @throws RangeError, PrereadTooLarge */
export function peekSize(n: unknown): number {
  if (typeof n !== "number" || !Number.isInteger(n) || n < 0)
    throw new RangeError(`peek: expected a whole number of bytes from 0 to ${PREREAD_LIMIT}, found ${String(n)}`)
  if (n > PREREAD_LIMIT) throw new PrereadTooLarge(`peek: ${n} bytes; at most ${PREREAD_LIMIT}`)
  return n
}
