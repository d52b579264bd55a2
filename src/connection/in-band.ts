// `deny(reason, { inBand })`: finds out what the client speaks, and says the reason in that language.
import type { Deny } from "../policy/decision.ts"
import { detect } from "../protocol/index.ts"
import { declineEncryption, isRefusable, refusal } from "../protocol/refusal.ts"
import type { Connection } from "./connection.ts"

/** PostgreSQL's way to its first message: a request for GSSAPI, then one for TLS, 8 bytes each. */
const MOST_REQUESTS = 2
const REQUEST_LENGTH = 8

/** What the client is told; `undefined` where nothing can be said. Rejects when it leaves meanwhile. */
export async function inBand(
  connection: Connection,
  protocol: NonNullable<Deny["inBand"]>,
  reason: string | undefined,
): Promise<Uint8Array | undefined> {
  const ahead = connection.ahead()
  // Where the policy knows what the silence hides, nobody waits for it to end.
  if (protocol !== true && protocol !== "postgres") {
    const spoken = detect(ahead.bytes, connection.client.ended)
    return refusal(protocol, reason, spoken === "more" ? undefined : spoken)
  }
  let spoken = await ahead.protocol(undefined)
  for (let asked = 0; asked < MOST_REQUESTS; asked++) {
    const no = declineEncryption(spoken)
    if (no === undefined || ahead.size > REQUEST_LENGTH) break
    ahead.take(REQUEST_LENGTH)
    ahead.write(no)
    spoken = await ahead.protocol("3 seconds")
  }
  const name = spoken?.protocol ?? (protocol === true ? undefined : protocol)
  return name !== undefined && isRefusable(name) ? refusal(name, reason, spoken) : undefined
}
