// Listeners of one Gateway, with those of its ListenerSets, that cannot share a port.
import type { Listener, Why } from "./listener.ts"

/** What is read on a port. Those of one family may share it where names tell them apart. */
type Family = "TCP" | "HTTP" | "TLS" | "UDP"

const FAMILIES: Readonly<Record<string, Family>> = { TCP: "TCP", HTTP: "HTTP", HTTPS: "TLS", TLS: "TLS", UDP: "UDP" }

/** A port as the listeners of one Gateway ask for it. */
interface Claimed {
  readonly family: Family
  /** By hostname, `""` for none. */
  readonly listeners: Map<string, Listener>
}

/** The ports of one Gateway. */
export class Ports {
  private readonly claimed = new Map<string, Claimed>()

  /** The listeners of the Gateway itself: of those that conflict nobody wins. */
  addOwn(listeners: readonly Listener[]): void {
    for (const group of groups(listeners, portOf).values()) {
      for (const [listener, why] of conflictsOf(group)) conflicted(listener, why)
      for (const listener of group) this.claim(listener)
    }
  }

  /** A listener of a ListenerSet: whoever came before it wins. */
  add(listener: Listener): void {
    const why = this.conflictOf(listener)
    if (why === undefined) this.claim(listener)
    else conflicted(listener, why)
  }

  /** The listeners of each port that end or read TLS, without conflict. */
  tls(): readonly (readonly Listener[])[] {
    return [...this.claimed.values()]
      .filter(({ family }) => family === "TLS")
      .map(({ listeners }) => [...listeners.values()].filter(({ conflict }) => conflict === undefined))
  }

  private conflictOf(listener: Listener): Why | undefined {
    const family = familyOf(listener)
    const port = portOf(listener)
    const claimed = port === undefined ? undefined : this.claimed.get(port)
    if (claimed === undefined || family === undefined) return undefined
    const [first] = claimed.listeners.values()
    if (claimed.family !== family) return protocolConflict([listener, first!], "and came before it")
    if (!hasNames(family)) return protocolConflict([listener, first!], "and came before it")
    const same = claimed.listeners.get(listener.hostname ?? "")
    if (same === undefined) return undefined
    return same.spec.protocol === listener.spec.protocol
      ? hostnameConflict(listener, same, "and came before it")
      : protocolConflict([listener, same], "and came before it")
  }

  private claim(listener: Listener): void {
    const family = familyOf(listener)
    const port = portOf(listener)
    if (family === undefined || port === undefined) return
    const claimed = this.claimed.get(port)
    if (claimed === undefined)
      this.claimed.set(port, { family, listeners: new Map([[listener.hostname ?? "", listener]]) })
    else if (!claimed.listeners.has(listener.hostname ?? "")) claimed.listeners.set(listener.hostname ?? "", listener)
  }
}

/** Of a group on one port: who conflicts, and why. */
function conflictsOf(group: readonly Listener[]): ReadonlyMap<Listener, Why> {
  if (group.length < 2) return new Map()
  const families = new Set(group.map(familyOf))
  const [family] = families
  if (families.size > 1 || !hasNames(family!))
    return new Map(group.map((listener) => [listener, protocolConflict([listener, other(group, listener)])]))
  const found = new Map<Listener, Why>()
  for (const same of groups(group, ({ hostname }) => hostname ?? "").values()) {
    if (same.length < 2) continue
    const isMixed = new Set(same.map(({ spec }) => spec.protocol)).size > 1
    for (const listener of same) {
      const against = other(same, listener)
      found.set(listener, isMixed ? protocolConflict([listener, against]) : hostnameConflict(listener, against))
    }
  }
  return found
}

function conflicted(listener: Listener, why: Why): void {
  listener.conflict = why
  // A conflict is the more important thing to say of what is not served anyway.
  listener.rejected = why
}

function protocolConflict([listener, against]: readonly [Listener, Listener], more = "so neither is served"): Why {
  const { port, spec } = listener
  const message = `Port ${port} is asked for with protocol ${spec.protocol} here, and with ${against.spec.protocol} by ${against.title}, ${more}; each needs a port of its own`
  return { reason: "ProtocolConflict", message }
}

function hostnameConflict(listener: Listener, against: Listener, more = "so neither is served"): Why {
  const { hostname, port } = listener
  const what = hostname === undefined ? "every hostname" : `the hostname ${hostname}`
  const message = `Port ${port} with ${what} is asked for by ${against.title} as well, ${more}; each needs a hostname or a port of its own`
  return { reason: "HostnameConflict", message }
}

function other(group: readonly Listener[], listener: Listener): Listener {
  return group[0] === listener ? group[1]! : group[0]!
}

function familyOf({ spec }: Listener): Family | undefined {
  return Object.hasOwn(FAMILIES, spec.protocol) ? FAMILIES[spec.protocol] : undefined
}

function hasNames(family: Family): boolean {
  return family === "HTTP" || family === "TLS"
}

/** UDP has ports of its own. Port 0 is another one for each; of protocols that nobody knows, nobody knows what they share. */
function portOf(listener: Listener): string | undefined {
  const family = familyOf(listener)
  if (family === undefined || listener.port === 0) return undefined
  return `${family === "UDP" ? "udp" : "tcp"} ${listener.port}`
}

function groups(
  listeners: readonly Listener[],
  keyOf: (listener: Listener) => string | undefined,
): ReadonlyMap<string, Listener[]> {
  const found = new Map<string, Listener[]>()
  for (const listener of listeners) {
    const key = keyOf(listener)
    if (key === undefined) continue
    const known = found.get(key)
    if (known === undefined) found.set(key, [listener])
    else known.push(listener)
  }
  return found
}
