// What the compiler makes of YAML texts, in the short form in which tests compare it.
import { compileKubernetes } from "../../../src/config/kubernetes/compile.ts"
import type { Contents, Rule } from "../../../src/config/contents.ts"
import type { Condition, ObjectState, Surroundings } from "../../../src/config/manifests/document.ts"
import { objectsOf, STILL } from "../../helper/cluster-of-objects.ts"

interface ListenerStatus {
  readonly name: string
  readonly attachedRoutes: number
  readonly supportedKinds: readonly { readonly kind: string }[]
  readonly conditions: readonly Condition[]
}

export class Cluster {
  private readonly states: readonly ObjectState[]
  private readonly contents: ReadonlyMap<string, Contents>
  readonly keys: ReadonlyMap<string, string>
  /** By file. */
  readonly warnings: ReadonlyMap<string, readonly string[]>

  constructor(files: string | Readonly<Record<string, string>>, surroundings: Partial<Surroundings> = {}) {
    const byFile = typeof files === "string" ? { "objects.yaml": files } : files
    const objects = Object.entries(byFile).flatMap(([file, text]) => objectsOf(text, file))
    const { objects: states, parts } = compileKubernetes(objects, { ...STILL, ...surroundings })
    this.states = states
    this.contents = new Map(
      [...parts].map(([file, part]) => {
        const contents = part.contents(new Map())
        if ("rules" in contents) return [file, contents]
        throw new Error(contents.map(({ message }) => message).join("\n"))
      }),
    )
    this.keys = new Map([...parts].map(([file, { key }]) => [file, key]))
    this.warnings = new Map([...parts].map(([file, { warnings }]) => [file, warnings.map(({ message }) => message)]))
  }

  state(kind: string, name: string, namespace = "default"): ObjectState {
    const found = this.states.find((one) => one.kind === kind && one.name === name && one.namespace === namespace)
    if (found === undefined)
      throw new Error(`no ${kind} ${namespace}/${name} among ${this.states.map((one) => one.name)}`)
    return found
  }

  /** The conditions of an object, like `True Accepted`. */
  said(kind: string, name: string, namespace?: string): Readonly<Record<string, string>> {
    return short(this.status(kind, name, namespace)["conditions"] as readonly Condition[])
  }

  /** The message of a condition of an object, or of one of its listeners. */
  message(type: string, kind: string, name: string, listener?: string): string {
    const conditions =
      listener === undefined
        ? (this.status(kind, name)["conditions"] as readonly Condition[])
        : this.listenerStatus(kind, name, listener).conditions
    return conditions.find((condition) => condition.type === type)?.message ?? ""
  }

  status(kind: string, name: string, namespace?: string): Readonly<Record<string, unknown>> {
    const { status } = this.state(kind, name, namespace)
    if (status === undefined) throw new Error(`${kind} ${name} has no status`)
    return status
  }

  listenerStatus(kind: string, name: string, listener: string, namespace?: string): ListenerStatus {
    const all = this.status(kind, name, namespace)["listeners"] as readonly ListenerStatus[]
    const found = all.find((one) => one.name === listener)
    if (found === undefined) throw new Error(`no listener ${listener} among ${all.map((one) => one.name)}`)
    return found
  }

  /** The conditions of a listener of a Gateway, or of a ListenerSet. */
  listener(name: string, listener: string, kind = "Gateway", namespace?: string): Readonly<Record<string, string>> {
    return short(this.listenerStatus(kind, name, listener, namespace).conditions)
  }

  kinds(name: string, listener: string, kind = "Gateway"): readonly string[] {
    return this.listenerStatus(kind, name, listener).supportedKinds.map((one) => one.kind)
  }

  rules(file = "objects.yaml"): readonly Rule[] {
    return this.contents.get(file)?.rules ?? []
  }

  /** What is bound, and where nothing is served although it is bound. */
  bound(file?: string): readonly string[] {
    return this.rules(file).flatMap(({ listen }) =>
      (listen ?? []).map(({ bind, url }) => `${url} at ${bind.kind === "tcp" ? bind.address : bind.path}`),
    )
  }

  /** Whether the rule of a listener says that something is wrong with it. */
  refuses(listener: string, file?: string): boolean {
    const rule = this.rules(file).find(
      ({ last, title }) => last === "fallback" && title?.endsWith(` listener ${listener}`) === true,
    )
    if (rule === undefined) throw new Error(`no rule for the listener ${listener}`)
    const answer = rule.connect(undefined as never, undefined) as { readonly reason: string }
    return answer.reason.includes("something is wrong")
  }

  /** All that is said, for what must not be in it. */
  everything(): string {
    return JSON.stringify([
      this.states,
      [...this.keys],
      [...this.warnings],
      [...this.contents.values()].map(({ rules }) => rules),
    ])
  }
}

function short(conditions: readonly Condition[]): Readonly<Record<string, string>> {
  return Object.fromEntries(conditions.map(({ reason, status, type }) => [type, `${status} ${reason}`]))
}

/** A Gateway with these listeners, written as one flow mapping each. */
export function gateway(name: string, listeners: readonly string[], more: readonly string[] = []): string {
  return [
    "apiVersion: gateway.networking.k8s.io/v1",
    "kind: Gateway",
    `metadata: { name: ${name} }`,
    "spec:",
    "  gatewayClassName: tidegate",
    ...more.map((line) => `  ${line}`),
    "  listeners:",
    ...listeners.map((listener) => `    - ${listener}`),
    "---",
    "",
  ].join("\n")
}

/** A Secret with a certificate and its key. */
export function tlsSecret(
  name: string,
  { cert, key }: { readonly cert: string; readonly key: string },
  namespace = "default",
): string {
  const data = `{ tls.crt: ${base64(cert)}, tls.key: ${base64(key)} }`
  return `apiVersion: v1\nkind: Secret\nmetadata: { name: ${name}, namespace: ${namespace} }\ntype: kubernetes.io/tls\ndata: ${data}\n---\n`
}

export function base64(text: string): string {
  return Buffer.from(text).toString("base64")
}
