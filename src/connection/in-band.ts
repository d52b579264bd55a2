// `deny(reason, { inBand })`: finds out what the client speaks, and says the reason in that language.
import type { Deny } from "../policy/decision.ts"
import { PREREAD_DEADLINE } from "../policy/preread.ts"
import { detect, type Protocol } from "../protocol/index.ts"
import { declineEncryption, isRefusable, refusal } from "../protocol/refusal.ts"
import type { Connection } from "./connection.ts"

/** PostgreSQL's way to its first message: a request for GSSAPI, then one for TLS, 8 bytes each. */
const MOST_REQUESTS = 2
const REQUEST_LENGTH = 8

/** Their servers speak first: silence hides their clients, and nobody waits for it to end. */
const SERVER_FIRST: readonly NonNullable<Deny["inBand"]>[] = ["mysql", "ssh", "vnc", "nats"]

/** What the client is told; `undefined` where nothing can be said. Rejects when it leaves meanwhile. */
export async function inBand(
  connection: Connection,
  protocol: NonNullable<Deny["inBand"]>,
  reason: string | undefined,
): Promise<Uint8Array | undefined> {
  const ahead = connection.ahead()
  let spoken: Protocol | undefined
  if (SERVER_FIRST.includes(protocol)) {
    const found = detect(ahead.bytes, connection.client.ended)
    if (found !== "more") spoken = found
  } else {
    // What it says first belongs to the answer, so that a client which is known to speak first is waited for.
    spoken = await ahead.protocol(protocol === true ? undefined : PREREAD_DEADLINE)
    for (let asked = 0; asked < MOST_REQUESTS; asked++) {
      const no = declineEncryption(spoken)
      if (no === undefined || ahead.size > REQUEST_LENGTH) break
      ahead.take(REQUEST_LENGTH)
      ahead.write(no)
      spoken = await ahead.protocol(PREREAD_DEADLINE)
    }
  }
  const name = spoken?.protocol ?? (protocol === true ? undefined : protocol)
  return name !== undefined && isRefusable(name) ? refusal(name, reason, spoken) : undefined
}
