// What a listener makes of who connects: believed, taken for a client, or refused before anybody is asked.
import type { ListenerPlan } from "../config/snapshot.ts"
import { printable } from "../observe/printable.ts"
import { parseIp } from "../policy/address.ts"
import type { Connection, Endpoint } from "../policy/connection.ts"
import { isTrustedSender } from "../policy/proxy-senders.ts"

/** Why nobody is asked, and how the connection ends. */
export interface ProxyProblem {
  readonly why: string
  readonly end: string
}

/** A load balancer at a listener that reads no headers: the header would be taken for the client's bytes. */
export class NoProxyHeaders extends Error {
  override readonly name = "NoProxyHeaders"
}

/** 5 of the trusted ranges: enough to see a slip. */
const SHOWN = 5

/** @throws NoProxyHeaders */
export function proxyProblem(plan: ListenerPlan, { client, via }: Connection): ProxyProblem | undefined {
  const senders = plan.proxyProtocol
  if (senders === undefined) {
    if (via !== undefined)
      throw new NoProxyHeaders(`${plan.url} reads no PROXY headers: its listen has no proxyProtocol`)
    return undefined
  }
  const isTrusted = isTrustedSender(senders, ipOf(via ?? client))
  const ranges = senders.from.slice(0, SHOWN).map((text) => printable(text))
  const whom = `${ranges.join(", ")}${senders.from.length > SHOWN ? ", ..." : ""}`
  if (via !== undefined && !isTrusted)
    return {
      why: `PROXY headers of ${via.address} are not believed, only of ${whom}`,
      end: "reset (RST) the connection: proxy-untrusted",
    }
  if (via === undefined && isTrusted && senders.mode === "required")
    return {
      why: `what comes from ${client.address ?? "its socket"} has to begin with a PROXY header`,
      end: "wait for one for 3 seconds, then close the connection: proxy-invalid",
    }
  return undefined
}

function ipOf({ address }: Endpoint) {
  return address === undefined ? undefined : parseIp(address)
}
