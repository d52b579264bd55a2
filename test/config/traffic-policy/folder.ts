// Files of a policies folder as the compiler of ngrok's formats sees them, and connections that ask what it made.
import { compileTrafficPolicies } from "../../../src/config/traffic-policy/index.ts"
import type { Contents, Modules, Rule } from "../../../src/config/contents.ts"
import type { Diagnostic } from "../../../src/config/diagnostic.ts"
import type { Condition, ObjectState, Part, Surroundings } from "../../../src/config/manifests/document.ts"
import { parse, type Parsed } from "../../../src/config/manifests/parse.ts"
import { simulate, type Facts, type Simulated } from "../../../src/policy/simulated.ts"
import type { Answer } from "../../../src/policy/decision.ts"
import { STILL } from "../../helper/cluster-of-objects.ts"

export interface Saved {
  readonly text: string
  readonly savedAt: number
}

export class Folder {
  readonly parts: ReadonlyMap<string, Part>
  readonly objects: readonly ObjectState[]
  private readonly parsed: readonly Parsed[]
  private readonly modules: Modules
  private readonly made = new Map<string, Contents>()

  constructor(
    files: Readonly<Record<string, string | Saved>>,
    { modules = new Map(), ...surroundings }: Partial<Surroundings> & { readonly modules?: Modules } = {},
  ) {
    this.modules = modules
    this.parsed = Object.entries(files).map(([file, written], i) => parsedOf(file, written, i))
    const held = this.parsed.flatMap(({ good }) => good.map((one) => one.held))
    const { objects, parts } = compileTrafficPolicies(
      {
        policies: held.flatMap((one) => (one.format === "traffic-policy" ? [one.value] : [])),
        agents: held.flatMap((one) => (one.format === "agent" ? [one.value] : [])),
        objects: held.flatMap((one) => (one.format === "object" ? [one.value] : [])),
      },
      { ...STILL, ...surroundings },
    )
    this.parts = parts
    this.objects = objects
  }

  /** What is wrong, as `file:line: message`. */
  get problems(): readonly string[] {
    return [
      ...this.parsed.flatMap(({ problems }) => problems),
      ...[...this.parts.values()].flatMap(({ problems }) => problems),
    ].map(shown)
  }

  get warnings(): readonly string[] {
    return [
      ...this.parsed.flatMap(({ warnings }) => warnings),
      ...[...this.parts.values()].flatMap(({ warnings }) => warnings),
    ].map(shown)
  }

  contents(file: string): Contents {
    let known = this.made.get(file)
    if (known !== undefined) return known
    const made = this.parts.get(file)?.contents(this.modules)
    if (made === undefined || !("rules" in made)) throw new Error(`${file}: ${made?.map(shown).join("\n")}`)
    this.made.set(file, (known = made))
    return known
  }

  get rules(): readonly Rule[] {
    return [...this.parts.keys()].flatMap((file) => this.contents(file).rules)
  }

  /** By rule, what it listens on. */
  get listens(): Readonly<Record<string, readonly string[] | undefined>> {
    return Object.fromEntries(this.rules.map(({ listen, title }) => [title ?? "", listen?.map(({ url }) => url)]))
  }

  rule(title: string | undefined): Rule {
    const found = this.rules.find((rule) => rule.title === title)
    if (found === undefined) throw new Error(`no ${title} among ${this.rules.map((rule) => rule.title).join(", ")}`)
    return found
  }

  /** What a rule answers about a new connection. */
  async ask(title: string | undefined, facts: Facts, met?: Simulated): Promise<Answer> {
    const { connection } = met ?? simulate(facts)
    return (await this.rule(title).connect(connection, undefined)) as Answer
  }

  /** The conditions of an object, like `{ Ready: "True EndpointActive" }`. */
  said(kind: string, name: string, namespace = "default"): Readonly<Record<string, string>> {
    return Object.fromEntries(
      this.conditions(kind, name, namespace).map(({ reason, status, type }) => [type, `${status} ${reason}`]),
    )
  }

  message(type: string, kind: string, name: string): string | undefined {
    return this.conditions(kind, name, "default").find((condition) => condition.type === type)?.message
  }

  state(kind: string, name: string, namespace = "default"): ObjectState {
    const found = this.objects.find((one) => one.kind === kind && one.name === name && one.namespace === namespace)
    if (found === undefined) throw new Error(`no ${kind} ${namespace}/${name}`)
    return found
  }

  private conditions(kind: string, name: string, namespace: string): readonly Condition[] {
    return this.state(kind, name, namespace).status?.["conditions"] as readonly Condition[]
  }
}

/** Where the route of an answer leads: its targets, or its pool. */
export function leadsTo(answer: Answer): unknown {
  if (answer.action !== "route") return answer.action === "deny" ? `deny ${answer.reason ?? ""}`.trim() : answer.action
  return answer.pool ?? answer.targets.map(({ url }) => url).join(" ")
}

/** The same text is parsed once, as the gateway does. */
const cache = new Map<string, Parsed>()

function parsedOf(file: string, written: string | Saved, i: number): Parsed {
  const { savedAt, text } = typeof written === "string" ? { savedAt: i, text: written } : written
  const key = `${file} ${savedAt} ${text}`
  let known = cache.get(key)
  if (known !== undefined) return known
  const path = `/policies/${file}`
  known = parse(file, {
    path,
    real: path,
    key: file,
    kind: "text",
    text,
    digest: String(Bun.hash(text)),
    imports: [],
    exports: [],
    geoAt: undefined,
    problems: [],
    savedAt,
  })
  cache.set(key, known)
  return known
}

function shown({ hint, line, message, path }: Diagnostic): string {
  return `${path.replace("/policies/", "")}:${line} ${message}${hint === undefined ? "" : ` [${hint}]`}`
}
