// Hostnames that cover others: `*.example.com` covers `a.b.example.com`, and none covers all.
import type { Listener } from "./listener.ts"

/** The patterns that cover a hostname and are less specific, the most specific first; `""` is every name. */
export function* covering(hostname: string): Generator<string> {
  if (hostname === "") return
  for (
    let dot = hostname.indexOf(".", hostname.startsWith("*.") ? 2 : 0);
    dot >= 0;
    dot = hostname.indexOf(".", dot + 1)
  )
    yield `*${hostname.slice(dot)}`
  yield ""
}

/** Says of each listener of a port what others have of its names, or have certificates for. */
export function findOverlaps(listeners: readonly Listener[]): void {
  if (listeners.length < 2) return
  const byHostname = new Map(listeners.map((listener) => [listener.hostname ?? "", listener]))
  const hostnames = new Map<Listener, Set<Listener>>()
  const certificates = new Map<Listener, Set<Listener>>()
  for (const [hostname, listener] of byHostname) {
    for (const pattern of covering(hostname)) {
      const other = byHostname.get(pattern)
      if (other !== undefined) pair(hostnames, listener, other)
    }
  }
  for (const listener of listeners) {
    for (const name of listener.certified) {
      // A wildcard of a certificate is one label, of which there may be many: names of listeners are looked up in it below.
      const other = byHostname.get(name)
      if (other !== undefined && other !== listener) pair(certificates, listener, other)
    }
  }
  const wildcards = new Map(
    listeners.flatMap((listener) =>
      listener.certified.filter((name) => name.startsWith("*.")).map((name): [string, Listener] => [name, listener]),
    ),
  )
  for (const [hostname, listener] of byHostname) {
    const dot = hostname.indexOf(".")
    const other = dot > 0 ? wildcards.get(`*${hostname.slice(dot)}`) : undefined
    if (other !== undefined && other !== listener) pair(certificates, listener, other)
  }
  for (const listener of listeners) {
    const certified = certificates.get(listener)
    const named = hostnames.get(listener)
    if (certified !== undefined)
      listener.overlap = {
        reason: "OverlappingCertificates",
        message: `A certificate is good for names of this listener and of ${shown(certified)}: a client that reuses connections may end up at the other one`,
      }
    else if (named !== undefined)
      listener.overlap = {
        reason: "OverlappingHostnames",
        message: `Names of this listener are covered by ${shown(named)} too; the most specific hostname gets a client`,
      }
  }
}

/** 5 are enough to see what is meant. */
const SHOWN = 5

function shown(listeners: ReadonlySet<Listener>): string {
  const names = [...listeners].map(({ hostname, spec }) => `${spec.name} (${hostname ?? "every hostname"})`)
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : ""
  return names.slice(0, SHOWN).join(", ") + more
}

function pair(of: Map<Listener, Set<Listener>>, a: Listener, b: Listener): void {
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const known = of.get(one)
    if (known === undefined) of.set(one, new Set([other]))
    else known.add(other)
  }
}
