// What becomes of connections: objects are compiled, their rules are put together as a snapshot puts them, and asked about
// simulated clients.
import { compileKubernetes } from "../../../src/config/kubernetes/compile.ts"
import { byName } from "../../../src/config/compile.ts"
import type { Contents, Rule } from "../../../src/config/contents.ts"
import type { Compiled, Condition, ObjectState, Surroundings } from "../../../src/config/manifests/document.ts"
import { ask, type Asking } from "../../../src/policy/ask.ts"
import { identity } from "../../../src/policy/listen.ts"
import type { PoolSpec } from "../../../src/policy/pool.ts"
import { ServerNames } from "../../../src/policy/server-names.ts"
import { simulate, type Facts } from "../../../src/policy/simulated.ts"
import { objectsOf, STILL } from "../../helper/cluster-of-objects.ts"

interface ParentStatus {
  readonly parentRef: Readonly<Record<string, unknown>>
  readonly controllerName: string
  readonly conditions: readonly Condition[]
}

export const CLASS = `apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: { name: tidegate }
spec: { controllerName: tidegate.dev/gateway-controller }
---
`

export type Files = string | Readonly<Record<string, string>>

export class Traffic {
  readonly compiled: Compiled
  readonly contents: ReadonlyMap<string, Contents>
  private readonly names = new Map<string, ServerNames<readonly Rule[]>>()

  constructor(
    files: Files,
    surroundings: Partial<Surroundings> = {},
    modules: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {},
  ) {
    const byFile = typeof files === "string" ? { "objects.yaml": CLASS + files } : files
    const objects = Object.entries(byFile).flatMap(([file, text]) => objectsOf(text, file))
    this.compiled = compileKubernetes(objects, { ...STILL, ...surroundings })
    this.contents = new Map(
      [...this.compiled.parts].map(([file, part]) => {
        const contents = part.contents(new Map(Object.entries(modules)))
        if ("rules" in contents) return [file, contents]
        throw new Error(contents.map(({ hint, message }) => `${message} ${hint ?? ""}`).join("\n"))
      }),
    )
    this.putTogether()
  }

  private putTogether(): void {
    const rules = [...this.contents].sort(([a], [b]) => byName(a, b)).flatMap(([, contents]) => contents.rules)
    expectAllLast(rules)
    const byPlace = new Map<string, Map<string | undefined, Rule[]>>()
    for (const rule of rules) {
      for (const { bind, pattern } of rule.listen ?? []) {
        const id = identity(bind, "")
        const patterns = byPlace.get(id) ?? new Map<string | undefined, Rule[]>()
        byPlace.set(id, patterns)
        patterns.set(pattern, [...(patterns.get(pattern) ?? []), rule])
      }
    }
    for (const [id, patterns] of byPlace) {
      const names = new ServerNames<readonly Rule[]>()
      for (const [pattern, all] of patterns) names.set(pattern, all)
      this.names.set(id, names)
    }
  }

  /** Every decision for a client, in the order of asking. */
  async asked(port: number, facts: Omit<Facts, "to"> & { readonly sni?: string } = {}): Promise<Asking | undefined> {
    const { sni, ...rest } = facts
    const rules = this.names.get(`tcp:*:${port}`)?.find(sni)
    if (rules === undefined || rules.length === 0) return undefined
    const scheme = rules[0]!.listen![0]!.scheme
    const to = scheme === "tcp" ? `tcp://:${port}` : `tls://${sni ?? ""}:${port}`
    const simulated = simulate({ from: "203.0.113.9", ...rest, to })
    return ask(
      rules.map(({ connect, deadline, title }) => ({ file: title ?? "", connect, deadline, resources: undefined })),
      simulated,
    )
  }

  /** Where a client comes out: the name of a pool, `refused: REASON`, `nobody` or `failed: MESSAGE`. */
  async goes(port: number, facts: Omit<Facts, "to"> & { readonly sni?: string } = {}): Promise<string> {
    const asking = await this.asked(port, facts)
    if (asking === undefined) return "nobody"
    const { outcome } = asking
    if (outcome.kind === "no-decision") return "nobody"
    if (outcome.kind === "failed") return `${outcome.reason}: ${outcome.message}`
    const { decision } = outcome
    if (decision.action === "route") return decision.pool ?? decision.targets.map(({ url }) => url).join(" ")
    return decision.action === "deny" ? `refused: ${decision.reason}` : "answered"
  }

  state(kind: string, name: string, namespace = "default"): ObjectState {
    const found = this.compiled.objects.find(
      (one) => one.kind === kind && one.name === name && one.namespace === namespace,
    )
    if (found === undefined) throw new Error(`no ${kind} ${namespace}/${name}`)
    return found
  }

  parents(kind: string, name: string, namespace?: string): readonly ParentStatus[] {
    return this.state(kind, name, namespace).status!["parents"] as readonly ParentStatus[]
  }

  /** The conditions of a route's parent, like `True Accepted`. */
  said(kind: string, name: string, parent = 0, namespace?: string): Readonly<Record<string, string>> {
    const { conditions } = this.parents(kind, name, namespace)[parent]!
    return Object.fromEntries(conditions.map(({ reason, status, type }) => [type, `${status} ${reason}`]))
  }

  message(type: string, kind: string, name: string, parent = 0): string {
    return this.parents(kind, name)[parent]!.conditions.find((condition) => condition.type === type)?.message ?? ""
  }

  ancestors(kind: string, name: string): readonly string[] {
    const all = this.state(kind, name).status!["ancestors"] as readonly (ParentStatus & {
      readonly ancestorRef: { readonly kind: string; readonly name: string }
    })[]
    return all.map(({ ancestorRef, conditions }) => {
      const said = conditions.map(({ reason, status, type }) => `${type} ${status} ${reason}`).join(", ")
      return `${ancestorRef.kind} ${ancestorRef.name}: ${said}`
    })
  }

  ancestorMessage(kind: string, name: string, type: string): string {
    const all = this.state(kind, name).status!["ancestors"] as readonly ParentStatus[]
    return all[0]!.conditions.find((condition) => condition.type === type)!.message
  }

  attached(gateway: string, listener: string): number {
    const all = this.state("Gateway", gateway).status!["listeners"] as readonly {
      readonly name: string
      readonly attachedRoutes: number
    }[]
    return all.find(({ name }) => name === listener)!.attachedRoutes
  }

  pool(name: string): PoolSpec {
    for (const { pools } of this.contents.values()) {
      const found = pools.get(name)
      if (found !== undefined) return found
    }
    throw new Error(`no pool ${name} among ${this.pools().join(", ")}`)
  }

  pools(): readonly string[] {
    return [...this.contents.values()].flatMap(({ pools }) => [...pools.keys()])
  }

  targets(name: string): readonly string[] {
    return this.pool(name).targets.map(({ priority, url }) => (priority === 0 ? url : `${url} ${priority}`))
  }

  warnings(file = "objects.yaml"): readonly string[] {
    return this.compiled.parts.get(file)?.warnings.map(({ message }) => message) ?? []
  }
}

/** Policies without `listen` are asked before all of these. */
function expectAllLast(rules: readonly Rule[]): void {
  const early = rules.find(({ last }) => !last)
  if (early !== undefined) throw new Error(`${early.title} is not asked last`)
}

/** A route, with its rule as one flow mapping. */
export function route(
  kind: "TCPRoute" | "TLSRoute",
  name: string,
  spec: string,
  metadata: Readonly<Record<string, string>> = {},
): string {
  const more = Object.entries(metadata).map(([key, value]) => `, ${key}: ${value}`)
  return `apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: { name: ${name}${more.join("")} }
spec:
${spec
  .split("\n")
  .map((line) => `  ${line}`)
  .join("\n")}
---
`
}

/** A Service with one port and a slice with the addresses, ready; none: without a slice. */
export function service(name: string, port: number, addresses?: readonly string[], namespace = "default"): string {
  const own = `apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec: { ports: [{ port: ${port} }] }
---
`
  if (addresses === undefined) return own
  return `${own}apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}-1, namespace: ${namespace}, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
endpoints: [${addresses.map((address) => `{ addresses: [${address}] }`).join(", ")}]
ports: [{ port: ${port} }]
---
`
}
