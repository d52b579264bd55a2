// What the TidegatePolicies of a route say together, on one listener: of each option the value of the most specific policy
// that has one. The route's own go before those of the listener, these before those of its ListenerSet and its Gateway.
import { cidrs, type CidrSet } from "../../policy/cidr.ts"
import { digestOf } from "../module-graph.ts"
import type { ListenerState } from "./listener-state.ts"
import { titleOf } from "./objects.ts"
import type { Policies, TidegatePolicy } from "./policies.ts"
import type { TidegatePolicySpec } from "./tidegate-policy.ts"
import type { ObjectOf } from "./types.ts"

export type Route = ObjectOf<"TCPRoute"> | ObjectOf<"TLSRoute">
export type Upstream = NonNullable<TidegatePolicySpec["upstream"]>

/** A value, and the policy that has it. */
export interface From<Value> {
  readonly policy: TidegatePolicy
  readonly value: Value
}

export interface Effective {
  readonly allow: From<readonly string[]> | undefined
  readonly deny: From<readonly string[]> | undefined
  readonly code: From<NonNullable<TidegatePolicySpec["policy"]>> | undefined
  readonly upstream: Upstream
  /** The policies that {@link upstream} comes from: a pool of a Service is another one with others. */
  readonly upstreamTitle: string
  readonly upstreamKey: string
  /** Another one for other values of any of these; no secret. */
  readonly key: string
}

const NOTHING: Effective = Object.freeze({
  allow: undefined,
  deny: undefined,
  code: undefined,
  upstream: Object.freeze({}),
  upstreamTitle: "",
  upstreamKey: "",
  key: "",
})

export class EffectivePolicies {
  private readonly policies: Policies
  private readonly isNeeded: boolean
  private readonly byTitles = new Map<string, Effective>()
  /** Of a listener alone: most routes have no policy of their own. */
  private readonly byListener = new Map<ListenerState, readonly TidegatePolicy[]>()

  /** @param isNeeded whether there is a policy at all */
  constructor(policies: Policies, isNeeded: boolean) {
    this.policies = policies
    this.isNeeded = isNeeded
  }

  of(route: Route, listener: ListenerState): Effective {
    if (!this.isNeeded) return NOTHING
    let inherited = this.byListener.get(listener)
    if (inherited === undefined) {
      inherited = this.policies.ofListener(listener.owner, listener.gateway, listener.spec.name)
      this.byListener.set(listener, inherited)
    }
    const own = this.policies.of(route)
    if (own.length + inherited.length === 0) return NOTHING
    const all = [...own, ...inherited]
    const titles = all.map(titleOf).join(", ")
    let known = this.byTitles.get(titles)
    if (known === undefined) this.byTitles.set(titles, (known = together(all)))
    return known
  }
}

function together(policies: readonly TidegatePolicy[]): Effective {
  const upstream: Record<string, unknown> = {}
  const sources = new Set<string>()
  for (const policy of policies) {
    for (const [name, value] of Object.entries(policy.body.spec.upstream ?? {})) {
      if (value === undefined || Object.hasOwn(upstream, name)) continue
      upstream[name] = value
      sources.add(titleOf(policy))
    }
  }
  const allow = first(policies, ({ clients }) => clients?.allow)
  const deny = first(policies, ({ clients }) => clients?.deny)
  const code = first(policies, ({ policy }) => policy)
  const parts = [allow, deny, code].map((from) => from && [titleOf(from.policy), from.value])
  // The place of a module's name is that of its document.
  const where = code?.policy.document.source.digest
  const upstreamKey = sources.size === 0 ? "" : digestOf(JSON.stringify(upstream))
  return {
    allow,
    deny,
    code,
    upstream,
    upstreamTitle: [...sources].join(", "),
    upstreamKey,
    key: digestOf(JSON.stringify([parts, where, upstreamKey])),
  }
}

function first<Value>(
  policies: readonly TidegatePolicy[],
  valueOf: (spec: TidegatePolicySpec) => Value | undefined,
): From<Value> | undefined {
  for (const policy of policies) {
    const value = valueOf(policy.body.spec)
    if (value !== undefined) return { policy, value }
  }
  return undefined
}

/** By the list that they were made of: every route of a Gateway has those of its policy. */
const compiled = new WeakMap<readonly string[], CidrSet>()

export function setOf(texts: readonly string[]): CidrSet {
  let set = compiled.get(texts)
  if (set === undefined) compiled.set(texts, (set = cidrs(texts)))
  return set
}
