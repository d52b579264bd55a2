// Whether a route fits what the client speaks. Pure: the data path, the testing helper and `explain` ask the same question.
import type { Decision } from "./decision.ts"

/** What is known of a client's encryption when its connection is decided. */
export interface Encryption {
  /** Its hello was seen. */
  readonly hello: boolean
  /** Its TLS ends here. */
  readonly terminated: boolean
}

/** Why no decision can be carried out while a handshake is under way. */
export const UNDER_WAY = "decided while terminate() was under way; write: await connection.terminate()"

/**
 * Why the decision cannot be carried out, if that is so: TLS that was not terminated would be encrypted once more on its
 * way to a `tls://` target. What stands behind `.or()` counts too.
 */
export function unfitRoute(decision: Decision, { hello, terminated }: Encryption): string | undefined {
  if (!hello || terminated) return undefined
  for (let at: Decision | undefined = decision; at?.action === "route"; at = at.otherwise) {
    if (at.targets.some(({ url }) => url.startsWith("tls:")))
      return "use tcp:// to pass TLS through, or `await connection.terminate()` first"
  }
  return undefined
}
