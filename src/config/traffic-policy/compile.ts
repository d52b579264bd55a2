// All of ngrok's documents together: to rules, pools and statuses. Pure: what did not change is remembered by the values
// that it was read from.
import type { AnyObject } from "../kubernetes/types.ts"
import type { Diagnostic } from "../diagnostic.ts"
import type { Compiled, ObjectState, Surroundings } from "../manifests/document.ts"
import { digestOf } from "../module-graph.ts"
import { bindAgentEndpoint, PolicyFiles, type Bound } from "./agent-endpoints.ts"
import type { Endpoint } from "./endpoint.ts"
import { FileParts } from "./file-parts.ts"
import { groupEndpoints, type Group } from "./groups.ts"
import { InternalEndpoints } from "./internal-endpoints.ts"
import { describeEndpoint, type Described, type EndpointObject } from "./object-endpoints.ts"
import { lostForwards, withIpPolicies } from "./policy-of-endpoint.ts"
import type { AgentDocument } from "./read-agent.ts"
import type { PolicyDocument } from "./read-traffic-policy.ts"
import { References, type Dependency } from "./references.ts"
import { endpointState, ipPolicyState, readTrafficPolicyObject, trafficPolicyState } from "./states.ts"

export interface TrafficPolicyDocuments {
  /** Traffic policies that are documents of their own. */
  readonly policies: readonly PolicyDocument[]
  readonly agents: readonly AgentDocument[]
  /** All objects: ngrok's own kinds, and what these refer to. */
  readonly objects: readonly AnyObject[]
}

const OWN_KINDS = new Set<AnyObject["kind"]>(["AgentEndpoint", "CloudEndpoint", "IPPolicy", "NgrokTrafficPolicy"])

export function compileTrafficPolicies(documents: TrafficPolicyDocuments, surroundings: Surroundings): Compiled {
  return new Compilation(documents, surroundings).compile()
}

class Compilation {
  private readonly documents: TrafficPolicyDocuments
  private readonly surroundings: Surroundings
  private readonly references: References
  private readonly policyFiles: PolicyFiles
  private readonly parts: FileParts

  constructor(documents: TrafficPolicyDocuments, surroundings: Surroundings) {
    this.documents = documents
    this.surroundings = surroundings
    const isOurs = documents.objects.some(({ kind }) => OWN_KINDS.has(kind))
    this.references = new References(isOurs ? documents.objects : [], surroundings)
    this.policyFiles = new PolicyFiles(documents.policies)
    this.parts = new FileParts(documents.policies.flatMap(({ warnings }) => warnings))
  }

  compile(): Compiled {
    const bound = this.bindAgents()
    const described = this.describeObjects()
    const endpoints = [...bound, ...described].flatMap(({ endpoint }) => endpoint ?? [])
    const { groups, refused } = groupEndpoints(endpoints)
    const why = new Map<Endpoint, string>()
    for (const { endpoint, message, problem } of refused) {
      why.set(endpoint, message)
      this.parts.problems(endpoint.document, [problem])
    }
    const internal = internalOf(groups)
    for (const group of groups) this.parts.add(group)
    this.addPolicyFiles()
    for (const { endpoint, policy } of [...bound, ...described]) {
      if (endpoint === undefined || policy === undefined) continue
      this.parts.warnings(endpoint.document, lostForwards(policy, endpoint.url.protocol, internal))
    }
    this.addLostForwards(internal)
    const objects = this.states(described, why)
    return { parts: this.parts.made(internal), objects }
  }

  private addLostForwards(internal: InternalEndpoints): void {
    for (const policy of this.documents.policies) {
      if (policy.policy === undefined || this.policyFiles.isTaken(policy)) continue
      const lost = lostForwards({ policy: policy.policy, forwards: policy.forwards }, undefined, internal)
      this.parts.warnings(policy.document, lost)
    }
  }

  private bindAgents(): readonly Bound[] {
    return this.documents.agents.flatMap((agent) => {
      // A file without endpoints of ours is known all the same.
      this.parts.of(agent.document)
      for (const file of agent.otherPolicyFiles) {
        const policy = this.policyFiles.find(file, agent.document)
        if ("document" in policy) this.policyFiles.take(policy)
      }
      return agent.endpoints.map((endpoint) => {
        const bound = bindAgentEndpoint(agent, endpoint, this.policyFiles, this.references)
        this.parts.problems(agent.document, bound.problems)
        this.parts.warnings(agent.document, bound.warnings)
        return bound
      })
    })
  }

  private describeObjects(): readonly Described[] {
    const { objects } = this.references
    const endpoints: readonly EndpointObject[] = [...objects.all("AgentEndpoint"), ...objects.all("CloudEndpoint")]
    return endpoints.map((object) => {
      const described = describedAgain(object, this.references)
      this.parts.problems(object.document, described.problems)
      this.parts.warnings(object.document, described.warnings)
      return described
    })
  }

  /** Policies that are nobody's endpoint are asked on the listeners that they name, or on all. */
  private addPolicyFiles(): void {
    for (const document of this.documents.policies) {
      if (this.policyFiles.isTaken(document)) continue
      const part = this.parts.of(document.document)
      this.parts.problems(document.document, document.problems)
      if (document.policy === undefined) continue
      const bound = withIpPolicies({ policy: document.policy, forwards: document.forwards }, this.references, undefined)
      if ("policy" in bound) part.policies.push({ document, policy: bound })
      else this.parts.problems(document.document, bound)
    }
  }

  private states(described: readonly Described[], why: ReadonlyMap<Endpoint, string>): readonly ObjectState[] {
    const { references, surroundings } = this
    const states = described.map((one) =>
      endpointState(one, one.endpoint === undefined ? undefined : why.get(one.endpoint), surroundings),
    )
    for (const policy of references.ipPolicies.all) {
      this.parts.problems(policy.object.document, policy.problems)
      states.push(ipPolicyState(policy, surroundings))
    }
    const told = new Set(described.flatMap(({ problems }) => problems))
    for (const object of references.objects.all("NgrokTrafficPolicy")) {
      const { problems, warnings } = readTrafficPolicyObject(object)
      this.parts.problems(object.document, notTold(problems, told))
      this.parts.warnings(object.document, warnings)
      states.push(trafficPolicyState(object, surroundings))
    }
    return states
  }
}

/** What an endpoint that has the policy has said already, at the same place. */
function notTold(problems: readonly Diagnostic[], told: ReadonlySet<Diagnostic>): readonly Diagnostic[] {
  const known = new Set([...told].map(({ column, line, path }) => `${path}:${line}:${column}`))
  return problems.filter(({ column, line, path }) => !known.has(`${path}:${line}:${column}`))
}

function internalOf(groups: readonly Group[]): InternalEndpoints {
  const internal = groups.filter(({ first }) => first.url.listen.length === 0)
  const keys = internal.flatMap(({ members }) => members.map(({ key }) => key))
  return new InternalEndpoints(internal, keys.length === 0 ? "" : digestOf(keys.join()))
}

const known = new WeakMap<EndpointObject, { readonly asked: readonly Dependency[]; readonly described: Described }>()

/** As it was, while everything that it refers to is. */
function describedAgain(object: EndpointObject, references: References): Described {
  const before = known.get(object)
  if (before !== undefined && before.asked.every((same) => same(references))) return before.described
  references.takeAsked()
  const described = describeEndpoint(object, references)
  known.set(object, { asked: references.takeAsked(), described })
  return described
}
