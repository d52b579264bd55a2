// Whether a route fits what the client speaks. Pure: the data path, the testing helper and `explain` ask the same question.
import type { Decision } from "./decision.ts"
import { didYouMean } from "./suggest.ts"

/** What is known of a client's encryption when its connection is decided. */
export interface Encryption {
  /** Its hello was seen. */
  readonly hello: boolean
  /** Its TLS ends here. */
  readonly terminated: boolean
}

/** Why no decision can be carried out while a handshake is under way. */
export const UNDER_WAY = "decided while terminate() was under way; write: await connection.terminate()"

/** What is known of a pool when a connection is decided. */
export interface PoolFacts {
  /** Whether any of its targets is encrypted by the gateway. */
  readonly encrypts: boolean
}

/** The pools that there are. */
export interface PoolLookup {
  find(name: string): PoolFacts | undefined
  names(): Iterable<string>
}

/** What is wrong with the pools that a decision names, if anything. What stands behind `.or()` counts too. */
export function unknownPool(decision: Decision, pools: PoolLookup): string | undefined {
  for (let at: Decision | undefined = decision; at?.action === "route"; at = at.otherwise) {
    if (at.pool === undefined || pools.find(at.pool) !== undefined) continue
    const meant = didYouMean(at.pool, pools.names()) || `; did you mean ${JSON.stringify(`tcp://${at.pool}:PORT`)}?`
    return `there is no pool ${JSON.stringify(at.pool)}${meant}`
  }
  return undefined
}

/**
 * Why the decision cannot be carried out, if that is so: TLS that was not terminated would be encrypted once more on its
 * way to a `tls://` target. What stands behind `.or()` counts too.
 */
export function unfitRoute(
  decision: Decision,
  { hello, terminated }: Encryption,
  pools?: PoolLookup,
): string | undefined {
  if (!hello || terminated) return undefined
  for (let at: Decision | undefined = decision; at?.action === "route"; at = at.otherwise) {
    const isPool = at.pool !== undefined && pools?.find(at.pool)?.encrypts === true
    if (isPool || at.targets.some(({ url }) => url.startsWith("tls:")))
      return "use tcp:// to pass TLS through, or `await connection.terminate()` first"
  }
  return undefined
}
