// What each file gives to the gateway: the rules of its endpoints and policies, the pools that they lead to, and what is
// said of them.
import type { Connection } from "../../policy/connection.ts"
import type { PoolSpec } from "../../policy/pool.ts"
import type { Contents, Modules, Rule } from "../contents.ts"
import type { Diagnostic, Place } from "../diagnostic.ts"
import type { MadeLimit } from "../limit-claims.ts"
import type { Document, ModuleRequest, Part } from "../manifests/document.ts"
import { digestOf } from "../module-graph.ts"
import type { Endpoint, EndpointPolicy } from "./endpoint.ts"
import type { Group } from "./groups.ts"
import type { InternalEndpoints } from "./internal-endpoints.ts"
import { ListenerFacts } from "./listener-facts.ts"
import type { PolicyDocument } from "./read-traffic-policy.ts"
import { NOBODY, Runtime, visitFile, visitGroup } from "./visit-endpoint.ts"

/** One file, while it is put together. */
interface Gathered {
  readonly problems: Diagnostic[]
  readonly warnings: Diagnostic[]
  /** The rules that stand here: those of groups whose first member does. */
  readonly groups: Group[]
  /** The endpoints that stand here, reached or not. */
  readonly endpoints: Endpoint[]
  readonly policies: { readonly document: PolicyDocument; readonly policy: EndpointPolicy }[]
}

export class FileParts {
  private readonly files = new Map<string, Gathered>()
  /** What is said already: several endpoints may have one policy. */
  private readonly said = new Set<string>()

  /** @param said what is told of the documents elsewhere */
  constructor(said: readonly Diagnostic[]) {
    for (const one of said) this.said.add(shown(one))
  }

  problems(document: Document, problems: readonly Diagnostic[]): void {
    if (problems.length > 0) this.of(document).problems.push(...this.news(problems))
  }

  warnings(document: Document, warnings: readonly Diagnostic[]): void {
    if (warnings.length > 0) this.of(document).warnings.push(...this.news(warnings))
  }

  private news(found: readonly Diagnostic[]): readonly Diagnostic[] {
    return found.filter((one) => {
      const key = shown(one)
      if (this.said.has(key)) return false
      this.said.add(key)
      return true
    })
  }

  of({ source: { file } }: Document): Gathered {
    let known = this.files.get(file)
    if (known === undefined) {
      known = { problems: [], warnings: [], groups: [], endpoints: [], policies: [] }
      this.files.set(file, known)
    }
    return known
  }

  add(group: Group): void {
    if (group.first.url.listen.length > 0) this.of(group.first.document).groups.push(group)
    for (const member of group.members) this.of(member.document).endpoints.push(member)
  }

  made(internal: InternalEndpoints): ReadonlyMap<string, Part> {
    return new Map([...this.files].map(([file, gathered]) => [file, partOf(file, gathered, internal)]))
  }
}

function shown({ column, line, message, path }: Diagnostic): string {
  return `${path}:${line}:${column} ${message}`
}

function partOf(file: string, gathered: Gathered, internal: InternalEndpoints): Part {
  const { endpoints, groups, policies, problems, warnings } = gathered
  const members = new Set([...groups.flatMap((group) => group.members), ...endpoints])
  const forwards =
    policies.some(({ policy }) => policy.forwards) || [...members].some(({ policy }) => policy?.forwards === true)
  const reached = forwards ? internal.groups.flatMap((group) => group.members) : []
  const keys = [
    ...groups.map((group) => group.members.map(({ key }) => key).join("+")),
    ...endpoints.map(({ key }) => key),
    ...policies.map(
      ({ document, policy }) => `${document.document.index} ${policy.key} ${JSON.stringify(document.listen)}`,
    ),
    forwards ? internal.key : "",
  ]
  return {
    key: digestOf(keys.join("\n")),
    modules: modulesOf([
      ...policies.map(({ policy }) => policy),
      ...[...members, ...reached].flatMap(({ policy }) => policy ?? []),
    ]),
    problems,
    warnings,
    contents: (modules) => contentsOf(file, gathered, internal, modules),
  }
}

function modulesOf(policies: readonly EndpointPolicy[]): readonly ModuleRequest[] {
  const requests = new Map<string, ModuleRequest>()
  for (const { policy } of policies)
    for (const request of policy.modules) if (!requests.has(request.specifier)) requests.set(request.specifier, request)
  return [...requests.values()]
}

function contentsOf(
  file: string,
  { endpoints, groups, policies }: Gathered,
  internal: InternalEndpoints,
  modules: Modules,
): Contents | readonly Diagnostic[] {
  const runtime = new Runtime(internal, modules)
  const problems: Diagnostic[] = []
  const limits: MadeLimit[] = []
  const compile = (owner: string, policy: EndpointPolicy) => {
    const compiled = runtime.compile({ owner, policy })
    if ("connect" in compiled) limits.push(...compiled.limits)
    else problems.push(...compiled)
  }
  for (const { owner, policy } of endpoints) if (policy !== undefined) compile(owner, policy)
  for (const { document, policy } of policies) compile(ownerOf(file, document), policy)
  if (problems.length > 0) return problems
  const pools = new Map<string, PoolSpec>()
  const places = new Map<string, Place>()
  for (const { places: of, pool } of endpoints) {
    if (pool === undefined) continue
    pools.set(pool.name, pool)
    places.set(pool.name, of.route)
  }
  return {
    setup: undefined,
    rules: [
      ...policies.map(({ document, policy }) => fileRule(file, document, policy, runtime, policies.length > 1)),
      ...groups.map((group) => groupRule(group, runtime)),
    ],
    pools,
    geoip: [],
    limits,
    placeOfPool: (name) => places.get(name) ?? endpoints[0]!.places.route,
  }
}

/** Names what its limits count. */
function ownerOf(file: string, { document: { index } }: PolicyDocument): string {
  return index === 0 ? file : `${file} document ${index + 1}`
}

function groupRule(group: Group, runtime: Runtime): Rule {
  const { first, members } = group
  const more = members.length - 1
  const plain = more === 0 && first.policy === undefined && first.termination === undefined
  const { places } = first
  return {
    title: more === 0 ? first.title : `${first.title} and ${more} more`,
    listen: first.url.listen,
    deadline: undefined,
    connect: (connection: Connection) => visitGroup(group, runtime, connection, NOBODY),
    closed: members.some(({ policy }) => policy !== undefined) ? runtime.closed : undefined,
    last: false,
    route: plain ? first.route : undefined,
    place: (what) => places[what],
  }
}

function fileRule(
  file: string,
  read: PolicyDocument,
  policy: EndpointPolicy,
  runtime: Runtime,
  isOneOfSeveral: boolean,
): Rule {
  const { document, listen } = read
  const facts = new ListenerFacts(file)
  const asked = { owner: ownerOf(file, read), policy }
  const place = document.place(listen === undefined ? [] : ["listen"])
  return {
    title: isOneOfSeveral ? `document ${document.index + 1}` : undefined,
    listen,
    deadline: undefined,
    connect: (connection: Connection) => visitFile(asked, facts.of(connection), runtime, connection),
    closed: runtime.closed,
    last: false,
    route: undefined,
    place: () => place,
  }
}
