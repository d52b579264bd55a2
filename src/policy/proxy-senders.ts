// Whose PROXY headers a listener believes: the `proxyProtocol` option of `listen`.
import type { Ip } from "./address.ts"
import { CidrInvalid, cidrs, type CidrSet } from "./cidr.ts"
import { describe } from "./describe.ts"
import { didYouMean } from "./suggest.ts"

/** Whose PROXY headers (versions 1 and 2) a listener believes. From anyone else they end the connection. */
export interface ProxyProtocolOptions {
  /** The load balancers: CIDR texts. On a `unix:` listener `["unix"]`: whoever may open the socket. */
  readonly from: readonly string[]
  /**
   * `required`: each of their connections begins with a header, within 3 seconds. `optional`: one that does not, or that
   * says nothing for 300 ms, is a client's own.
   * @default "required"
   */
  readonly mode?: "required" | "optional"
}

/** The same, checked: plain data that can be compared. */
export interface ProxySenders {
  /** Each once, in order. */
  readonly from: readonly string[]
  readonly mode: "required" | "optional"
}

/** Thrown for an option that makes no sense; the message says what was found and what is expected. */
export class ProxySendersInvalid extends Error {
  override readonly name = "ProxySendersInvalid"
}

/** On a unix listener: whoever may open the socket. */
const UNIX = "unix"
/** 10,000: past that it is no list of one's own load balancers any more. */
const MOST_SENDERS = 10_000
const OPTIONS = ["from", "mode"] as const
const MODES = ["required", "optional"] as const

/** @throws ProxySendersInvalid, naming `what` */
export function readProxySenders(what: string, value: unknown, onUnix: boolean): ProxySenders {
  const example = onUnix ? '{ from: ["unix"] }' : '{ from: ["10.0.0.0/8"] }'
  const invalid = (why: string) => new ProxySendersInvalid(`${what}: ${why}`)
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid(`expected whom to believe, like ${example}, found ${describe(value)}`)
  for (const name of Object.keys(value)) {
    if (!(OPTIONS as readonly string[]).includes(name))
      throw invalid(`there is no option ${JSON.stringify(name)}${didYouMean(name, OPTIONS)}`)
  }
  const { from, mode = "required" } = value as { from?: unknown; mode?: unknown }
  if (mode !== "required" && mode !== "optional") {
    const near = typeof mode === "string" ? didYouMean(mode, MODES) : ""
    throw invalid(`mode: expected "required" or "optional", found ${describe(mode)}${near}`)
  }
  if (!Array.isArray(from) || from.length === 0) {
    const found = Array.isArray(from) ? "an empty list" : describe(from)
    throw invalid(`from: expected the addresses of your load balancers, like ${example}, found ${found}`)
  }
  if (from.length > MOST_SENDERS) throw invalid(`from: ${from.length} ranges; at most ${MOST_SENDERS}`)
  if (onUnix && !(from.length === 1 && from[0] === UNIX))
    throw invalid('from: expected ["unix"]: who opens a unix socket has no address')
  if (!onUnix && from.includes(UNIX)) throw invalid('from: "unix" is for unix: listeners')
  const texts = new Set<string>(from)
  try {
    if (!onUnix) cidrs(...texts)
  } catch (error) {
    throw error instanceof CidrInvalid ? invalid(`from: ${error.message}`) : error
  }
  return Object.freeze({ from: Object.freeze([...texts].sort()), mode })
}

const sets = new WeakMap<ProxySenders, CidrSet>()

/** Whether headers of this address are believed. Who may open a unix socket has none, and is. */
export function isTrustedSender(senders: ProxySenders, ip: Ip | undefined): boolean {
  return ip === undefined || senderSet(senders).contains(ip)
}

/** The addresses that are believed; compiled once. */
function senderSet(senders: ProxySenders): CidrSet {
  let set = sets.get(senders)
  if (set === undefined) {
    set = cidrs(senders.from.filter((text) => text !== UNIX))
    sets.set(senders, set)
  }
  return set
}
