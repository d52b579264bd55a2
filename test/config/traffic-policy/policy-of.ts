// Traffic policies from YAML, asked about simulated connections.
import { renderDiagnostic } from "../../../src/config/diagnostic.ts"
import type { Document } from "../../../src/config/manifests/document.ts"
import type { Modules } from "../../../src/config/contents.ts"
import { masked } from "../../../src/config/mask.ts"
import { readYaml } from "../../../src/config/yaml.ts"
import {
  compilePolicy,
  ForwardFailure,
  readPolicy,
  type CompiledPolicy,
  type Forwarded,
  type IpRules,
  type Situation,
  type TrafficPolicy,
  type Visit,
} from "../../../src/config/traffic-policy/policy.ts"
import type { PolicyContext } from "../../../src/config/traffic-policy/visit.ts"
import type { EndpointFacts } from "../../../src/config/traffic-policy/cel/index.ts"
import { next, type Answer } from "../../../src/policy/decision.ts"
import { simulate, type Facts, type Simulated } from "../../../src/policy/simulated.ts"

export const ALONE: Situation = { protocol: "unknown", endpoint: "file", isInternal: false }
export const TCP: Situation = { protocol: "tcp", endpoint: "agent", isInternal: false }
export const TLS: Situation = { protocol: "tls", endpoint: "agent", isInternal: false }
export const CLOUD: Situation = { protocol: "tcp", endpoint: "cloud", isInternal: false }

const ENDPOINT: EndpointFacts = {
  id: "ep_1",
  url: "tcp://db.example:5432",
  addr: "db.example:5432",
  host: "db.example",
  port: 5432,
  protocol: "tcp",
}

/** The first document of a text. */
export function documentOf(text: string): Document {
  const { documents, problems } = readYaml("/policies/guard.yaml", text)
  const [first] = documents
  if (first === undefined) throw new Error(`no document: ${problems.map(({ message }) => message).join("; ")}`)
  const source = { file: "guard.yaml", path: "/policies/guard.yaml", digest: "0", savedAt: 0, shown: masked(text) }
  return { source, index: 0, value: first.value, place: first.place }
}

export function read(text: string, situation: Situation = ALONE, path: readonly string[] = []) {
  const document = documentOf(text)
  let value: unknown = document.value
  for (const step of path) value = (value as Record<string, unknown>)[step]
  return readPolicy(document, path, value, situation)
}

/** `line:column message`, in order. */
export function problems(text: string, situation: Situation = ALONE, path: readonly string[] = []): string[] {
  return read(text, situation, path).problems.map(shown)
}

export function warnings(text: string, situation: Situation = ALONE): string[] {
  return read(text, situation).warnings.map(shown)
}

/** With its frame and its hint. */
export function rendered(text: string, situation: Situation = ALONE): string {
  const { problems: found, warnings: cautions } = read(text, situation)
  return [...found, ...cautions].map((one) => renderDiagnostic(one)).join("\n")
}

function shown({ column, hint, line, message }: ReturnType<typeof read>["problems"][number]): string {
  return `${line ?? "?"}:${column ?? "?"} ${message}${hint === undefined ? "" : ` | ${hint}`}`
}

export interface Around {
  readonly situation?: Situation
  readonly owner?: string
  readonly modules?: Modules
  readonly ipPolicies?: Readonly<Record<string, IpRules>>
  readonly facts?: PolicyContext["facts"]
}

export function policyOf(text: string, around: Around = {}): TrafficPolicy {
  const { problems: found, value } = read(text, around.situation)
  if (value === undefined) throw new Error(found.map(shown).join("\n"))
  return value
}

/** Compiled, or the messages of what is wrong. */
export function made(text: string, around: Around = {}): CompiledPolicy | string[] {
  const { modules = new Map(), ipPolicies = {}, facts = {}, owner = "guard.yaml" } = around
  const context: PolicyContext = { owner, modules, ipPolicy: (name) => ipPolicies[name], facts }
  const { problems: found, value } = compilePolicy(policyOf(text, around), context)
  return value ?? found.map(shown)
}

export interface Asked extends Around {
  readonly connection?: Partial<Facts>
  readonly endpoint?: Partial<EndpointFacts>
  readonly fallThrough?: Answer
  /** By URL. */
  readonly internal?: Readonly<Record<string, (visit: Visit) => Forwarded | Promise<Forwarded>>>
}

/** A policy, and a connection that it is asked about. */
export interface Asking {
  readonly answer: Answer | Promise<Answer>
  readonly simulated: Simulated
  readonly visit: Visit
}

export function run(policy: CompiledPolicy, asked: Asked = {}): Asking {
  const facts = { from: "203.0.113.9:4711", to: "tcp://10.0.0.1:5432", ...asked.connection }
  const simulated = simulate(facts)
  const visit: Visit = {
    connection: simulated.connection,
    endpoint: { ...ENDPOINT, ...asked.endpoint },
    depth: 0,
    fallThrough: asked.fallThrough ?? next,
    forward: (url, from) =>
      asked.internal?.[url]?.(from) ?? new ForwardFailure("ERR_NGROK_3200", `the endpoint ${url} is offline`),
  }
  return { answer: policy.connect(visit), simulated, visit }
}

export function compiled(text: string, around: Around = {}): CompiledPolicy {
  const found = made(text, around)
  if (Array.isArray(found)) throw new Error(found.join("\n"))
  return found
}

/** What the policy answers. */
export function ask(text: string, asked: Asked = {}): Answer | Promise<Answer> {
  return run(compiled(text, asked), asked).answer
}

/** What it logged, merged. */
export async function logged(text: string, asked: Asked = {}): Promise<Record<string, unknown>> {
  const { answer, simulated } = run(compiled(text, asked), asked)
  await answer
  return Object.assign({}, ...simulated.log.all())
}
