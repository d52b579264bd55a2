// The sockets of all Gateways: who has which address and port, under which names, and with which options. Whoever comes
// first has them.
import { formatHostPort } from "../../policy/address.ts"
import { identity, type Bind, type ListenEntry } from "../../policy/listen.ts"
import {
  LISTENER_OPTIONS,
  NO_SETTINGS,
  readListenerOptions,
  type ListenerSettings,
} from "../../policy/listener-options.ts"
import { LimitInvalid } from "../../policy/limits.ts"
import { ProxySendersInvalid } from "../../policy/proxy-senders.ts"
import type { Listener, Why } from "./listener.ts"
import { titleOf } from "./objects.ts"
import { covering } from "./overlaps.ts"
import type { Policies, TidegatePolicy } from "./policies.ts"

interface Claim {
  readonly scheme: "tcp" | "tls"
  /** By hostname, `""` for none. */
  readonly listeners: Map<string, Listener>
  readonly settings: Map<Option, { readonly value: string; readonly listener: Listener }>
}

type Option = keyof ListenerSettings
type Read = { readonly settings: ListenerSettings; readonly problem: string | undefined }

/** Policies are read once. */
const read = new WeakMap<TidegatePolicy, Read>()

export class Claims {
  private readonly policies: Policies
  private readonly byIdentity = new Map<string, Claim>()

  constructor(policies: Policies) {
    this.policies = policies
  }

  /** Gives the listener its sockets, or rejects it where another Gateway has one of them. */
  bind(listener: Listener, addresses: readonly string[]): void {
    const { file } = listener.owner.document.source
    const scheme = listener.mode === undefined ? "tcp" : "tls"
    const binds = addresses.map((address): Bind => ({ kind: "tcp", address, port: listener.port }))
    for (const bind of binds) {
      const why = taken(listener, bind, scheme, this.byIdentity.get(identity(bind, file)))
      if (why !== undefined) return listener.reject("PortUnavailable", why)
    }
    listener.binds = binds.map((bind) => this.claim(listener, bind, scheme, identity(bind, file)))
    if (listener.port === 0)
      listener.notes.push("port 0 is any free port; `tidegate status` shows which, and it stays until the file is gone")
  }

  /** Tells each listener which more specific names others have on its sockets. */
  shadow(): void {
    const names = new Map<Listener, Set<string>>()
    for (const { listeners } of this.byIdentity.values()) {
      if (listeners.size < 2) continue
      for (const hostname of listeners.keys()) {
        for (const pattern of covering(hostname)) {
          const listener = listeners.get(pattern)
          if (listener === undefined) continue
          const known = names.get(listener)
          if (known === undefined) names.set(listener, new Set([hostname]))
          else known.add(hostname)
        }
      }
    }
    for (const [listener, shadows] of names) listener.shadowedBy = [...shadows]
  }

  private claim(listener: Listener, bind: Bind, scheme: Claim["scheme"], id: string): ListenEntry {
    let claim = this.byIdentity.get(id)
    if (claim === undefined) this.byIdentity.set(id, (claim = { scheme, listeners: new Map(), settings: new Map() }))
    claim.listeners.set(listener.hostname ?? "", listener)
    const pattern = scheme === "tls" ? listener.hostname : undefined
    return { url: urlOf(bind, scheme, pattern), scheme, pattern, bind, ...this.settingsOf(listener, scheme, claim) }
  }

  /** The options of its policies, as far as nobody has said otherwise of the same socket. */
  private settingsOf(listener: Listener, scheme: Claim["scheme"], claim: Claim): ListenerSettings {
    const { gateway, owner, spec } = listener
    const policies = this.policies.ofListener(owner, gateway, spec.name)
    if (policies.length === 0) return NO_SETTINGS
    let settings = NO_SETTINGS
    for (const policy of policies) {
      const reject = (reason: string, message: string) => {
        for (const target of [owner, gateway]) this.policies.reject(policy, target, reason, message, spec.name)
      }
      const { problem, settings: wanted } = settingsOf(policy)
      if (problem !== undefined) reject("Invalid", problem)
      for (const name of LISTENER_OPTIONS) {
        if (wanted[name] === undefined || settings[name] !== undefined) continue
        const why =
          scheme === "tcp" && isByName(wanted, name) ? nameless(listener, name) : other(listener, name, wanted, claim)
        if (why === undefined) settings = { ...settings, [name]: wanted[name] }
        else reject(why.reason, why.message)
      }
    }
    return settings
  }
}

/** Whether a limit is kept for each server name. */
function isByName({ bandwidth, concurrencyLimit, rateLimit }: ListenerSettings, name: Option): boolean {
  const limits: { readonly [Name in Option]?: { readonly key: unknown } | undefined } = {
    bandwidth,
    concurrencyLimit,
    rateLimit,
  }
  return limits[name]?.key === "sni"
}

function nameless({ title }: Listener, name: Option): Why {
  const message = `listener.${name}: key: "sni" needs a listener of protocol TLS, which reads the name; ${title} is TCP`
  return { reason: "Invalid", message }
}

/** Takes the option for the socket, or says who has it already with another value. */
function other(listener: Listener, name: Option, wanted: ListenerSettings, { settings }: Claim): Why | undefined {
  const value = JSON.stringify(wanted[name])
  const known = settings.get(name)
  if (known === undefined) settings.set(name, { value, listener })
  if (known === undefined || known.value === value) return undefined
  const message = `listener.${name}: ${listener.title} shares port ${listener.port} with ${known.listener.title}, which has another value; a port has one`
  return { reason: "Conflicted", message }
}

function taken(listener: Listener, bind: Bind, scheme: Claim["scheme"], claim: Claim | undefined): string | undefined {
  if (claim === undefined) return undefined
  const { hostname } = listener
  const where = bind.kind === "tcp" ? placeOf(bind) : bind.path
  const [first] = claim.listeners.values()
  if (bind.kind === "tcp" && bind.port === 0 && (scheme === "tcp" || claim.scheme !== scheme))
    return `Port 0 is given once to each file and address, and ${first!.title} has it already: write ports, or two files`
  if (claim.scheme !== scheme || scheme === "tcp")
    return `${where} is ${first!.title}'s, which is older, or comes first by name: choose another port or address`
  const same = claim.listeners.get(hostname ?? "")
  if (same === undefined) return undefined
  const what = hostname === undefined ? "every hostname" : hostname
  return `${where} with ${what} is ${same.title}'s, which is older, or comes first by name: choose another hostname, port or address`
}

function placeOf({ address, port }: { readonly address: string; readonly port: number }): string {
  return address === "*" ? `Port ${port} on all addresses` : formatHostPort(address, port)
}

function urlOf(bind: Bind, scheme: "tcp" | "tls", pattern: string | undefined): string {
  if (bind.kind === "unix") return `unix:${bind.path}`
  const { address, port } = bind
  return `${scheme}://${pattern === undefined ? formatHostPort(address === "*" ? "" : address, port) : `${pattern}:${port}`}`
}

function settingsOf(policy: TidegatePolicy): Read {
  let known = read.get(policy)
  if (known === undefined) read.set(policy, (known = readSettings(policy)))
  return known
}

function readSettings(policy: TidegatePolicy): Read {
  const { listener } = policy.body.spec
  if (listener === undefined) return { settings: NO_SETTINGS, problem: undefined }
  try {
    return { settings: readListenerOptions("listener", false, listener), problem: undefined }
  } catch (error) {
    if (!(error instanceof LimitInvalid) && !(error instanceof ProxySendersInvalid)) throw error
    return { settings: NO_SETTINGS, problem: `${titleOf(policy)}: ${error.message}` }
  }
}
