// BackendTLSPolicy: to which Services the gateway speaks TLS, whom it takes for them, and what is said of each policy.
import type { UpstreamTls } from "../../policy/upstream-tls.ts"
import type { Condition, Surroundings } from "../manifests/document.ts"
import { digestOf } from "../module-graph.ts"
import { authoritiesOf } from "./certificates.ts"
import { conditions, inOrderOfAge, isFalse, isTrue, type Said } from "./conditions.ts"
import type { Service, ServicePort } from "./endpoints.ts"
import { GATEWAY_GROUP, titleOf, type Objects } from "./objects.ts"
import type { AncestorStatus } from "./policies.ts"
import { CONTROLLER } from "./tidegate-policy.ts"
import type { AnyObject, ObjectOf } from "./types.ts"

export type BackendTLSPolicy = ObjectOf<"BackendTLSPolicy">
type Gateway = ObjectOf<"Gateway">
type TargetRef = BackendTLSPolicy["body"]["spec"]["targetRefs"][number]

/** How one policy has targets spoken to. */
export interface Encryption {
  readonly policy: BackendTLSPolicy
  /** `undefined` where nobody could be trusted: connections are refused then, and never go out in plain text. */
  readonly tls: UpstreamTls | undefined
  readonly problem: string | undefined
  /** Another one for another {@link tls}. */
  readonly key: string
}

/** What became of a policy's references to authorities, or of the rest of `validation`. */
interface Validation {
  readonly encryption: Encryption
  readonly accepted: Said | undefined
  readonly resolved: Said
}

/** A Gateway that leads to the Services of a policy. */
interface Ancestor {
  readonly gateway: Gateway
  /** Whether TLS ends there, or there is none: a policy has no effect on TLS that passes through. */
  encrypts: boolean
}

export class BackendTls {
  private readonly objects: Objects
  private readonly surroundings: Surroundings
  private readonly all: readonly BackendTLSPolicy[]
  private readonly applied = new Map<string, BackendTLSPolicy>()
  private readonly byService = new Map<string, Set<BackendTLSPolicy>>()
  private readonly validations = new Map<BackendTLSPolicy, Validation>()
  private readonly ancestors = new Map<BackendTLSPolicy, Map<Gateway, Ancestor>>()

  constructor(objects: Objects, surroundings: Surroundings) {
    this.objects = objects
    this.surroundings = surroundings
    this.all = inOrderOfAge(surroundings, objects.all("BackendTLSPolicy"))
    for (const policy of this.all) {
      for (const ref of policy.body.spec.targetRefs) {
        if (!isService(ref)) continue
        const key = keyOf(policy.metadata.namespace, ref.name, ref.sectionName)
        if (!this.applied.has(key)) this.applied.set(key, policy)
        const service = keyOf(policy.metadata.namespace, ref.name, undefined)
        const sharing = this.byService.get(service)
        if (sharing === undefined) this.byService.set(service, new Set([policy]))
        else sharing.add(policy)
      }
    }
  }

  /** That of the port by its name goes before that of the whole Service. */
  of({ metadata: { name, namespace } }: Service, port: ServicePort): Encryption | undefined {
    if (this.applied.size === 0) return undefined
    const own = port.name === undefined ? undefined : this.applied.get(keyOf(namespace, name, port.name))
    const policy = own ?? this.applied.get(keyOf(namespace, name, undefined))
    return policy === undefined ? undefined : this.validationOf(policy).encryption
  }

  /** A route of the Gateway leads to the Service. */
  leads(gateway: Gateway, { metadata: { name, namespace } }: Service, encrypts: boolean): void {
    for (const policy of this.byService.get(keyOf(namespace, name, undefined)) ?? []) {
      let gateways = this.ancestors.get(policy)
      if (gateways === undefined) this.ancestors.set(policy, (gateways = new Map()))
      const known = gateways.get(gateway)
      if (known === undefined) gateways.set(gateway, { gateway, encrypts })
      else known.encrypts ||= encrypts
    }
  }

  /** Every policy with its `status.ancestors`, once all routes are attached. */
  statuses(): ReadonlyMap<BackendTLSPolicy, readonly AncestorStatus[]> {
    return new Map(this.all.map((policy) => [policy, this.statusOf(policy)]))
  }

  private statusOf(policy: BackendTLSPolicy): readonly AncestorStatus[] {
    const { namespace } = policy.metadata
    const { accepted, resolved } = this.validationOf(policy)
    const targets = policy.body.spec.targetRefs.map((ref) => ({ ref, problem: this.targetProblem(policy, ref) }))
    const gateways = [...(this.ancestors.get(policy)?.values() ?? [])]
    const said = (encrypts: boolean) => [accepted ?? acceptedFor(targets, encrypts), resolved]
    if (gateways.length > 0)
      return gateways.map(({ encrypts, gateway: { kind, metadata } }) => ({
        ancestorRef: { group: GATEWAY_GROUP, kind, namespace: metadata.namespace, name: metadata.name },
        controllerName: CONTROLLER,
        conditions: this.conditions(policy, `Gateway ${metadata.namespace}/${metadata.name}`, said(encrypts)),
      }))
    // Nobody leads to them, and still there may be something to say.
    return targets.map(({ ref: { group, kind, name, sectionName }, problem }) => ({
      ancestorRef: { group, kind, namespace, name, ...(sectionName === undefined ? {} : { sectionName }) },
      controllerName: CONTROLLER,
      conditions: this.conditions(policy, `target ${kind} ${name} ${sectionName ?? ""}`, [
        accepted ?? problem ?? isTrue("Accepted", "Accepted", "No route leads to it so far"),
        resolved,
      ]),
    }))
  }

  private conditions(policy: BackendTLSPolicy, part: string, said: readonly Said[]): readonly Condition[] {
    return conditions(this.surroundings, policy, part, said)
  }

  private targetProblem(policy: BackendTLSPolicy, ref: TargetRef): Said | undefined {
    const { group, kind, name, sectionName } = ref
    const { namespace } = policy.metadata
    if (!isService(ref))
      return isFalse("Accepted", "Invalid", `${kind}${group === "" ? "" : `.${group}`} ${name}: expected a Service`)
    const service = this.objects.find("Service", namespace, name)
    if (service === undefined)
      return isFalse("Accepted", "TargetNotFound", `There is no Service ${name} in the namespace ${namespace}`)
    const ports = (service.body.spec.ports ?? []).map((port) => port.name)
    if (sectionName !== undefined && !ports.includes(sectionName))
      return isFalse(
        "Accepted",
        "TargetNotFound",
        `${titleOf(service)} has no port named ${JSON.stringify(sectionName)}; it has ${ports.map((port) => JSON.stringify(port ?? "")).join(", ")}`,
      )
    const first = this.applied.get(keyOf(namespace, name, sectionName))
    if (first === policy || first === undefined) return undefined
    const what = sectionName === undefined ? `Service ${name}` : `the port ${sectionName} of Service ${name}`
    return isFalse(
      "Accepted",
      "Conflicted",
      `${titleOf(first)} is about ${what} already, and is older, or comes first by name`,
    )
  }

  private validationOf(policy: BackendTLSPolicy): Validation {
    let known = this.validations.get(policy)
    if (known === undefined) this.validations.set(policy, (known = this.validate(policy)))
    return known
  }

  private validate(policy: BackendTLSPolicy): Validation {
    const {
      caCertificateRefs = [],
      hostname,
      subjectAltNames = [],
      wellKnownCACertificates,
    } = policy.body.spec.validation
    const sni = hostname.toLowerCase()
    const names = subjectAltNames.flatMap(({ hostname: host, uri }) => host?.toLowerCase() ?? uri ?? [])
    const rest: UpstreamTls = { sni, ...(names.length === 0 ? {} : { names }) }
    if (caCertificateRefs.length === 0) {
      const resolved = isTrue("ResolvedRefs", "ResolvedRefs", "No reference to authorities")
      if (wellKnownCACertificates === "System")
        return { encryption: trusting(policy, rest), accepted: undefined, resolved }
      const found = JSON.stringify(wellKnownCACertificates ?? null)
      const problem = `wellKnownCACertificates is ${found}; expected "System", or caCertificateRefs`
      return { encryption: failing(policy, problem), accepted: isFalse("Accepted", "Invalid", problem), resolved }
    }
    const found = caCertificateRefs.map((ref) => this.authorities(policy, ref))
    const problems = found.flatMap(({ problem, reason }) => (problem === undefined ? [] : [{ problem, reason }]))
    const ca = found.flatMap(({ value }) => value ?? [])
    const first = problems[0]
    const said = problems.map(({ problem }) => problem).join("; ")
    const resolved =
      first === undefined
        ? isTrue("ResolvedRefs", "ResolvedRefs", "All authorities are found")
        : isFalse("ResolvedRefs", first.reason, said)
    if (ca.length > 0)
      return { encryption: trusting(policy, { ...rest, ca: ca.join("") }), accepted: undefined, resolved }
    const none = `No authority is left to trust, so connections are refused: ${said}`
    return { encryption: failing(policy, said), accepted: isFalse("Accepted", "NoValidCACertificate", none), resolved }
  }

  private authorities(
    { metadata: { namespace } }: BackendTLSPolicy,
    {
      group = "",
      kind = "ConfigMap",
      name,
    }: { readonly group?: string; readonly kind?: string; readonly name: string },
  ): { readonly value: string | undefined; readonly reason: string; readonly problem: string | undefined } {
    if (group !== "" || kind !== "ConfigMap") {
      const problem = `${kind}${group === "" ? "" : `.${group}`} ${name}: authorities are read from a ConfigMap`
      return { value: undefined, reason: "InvalidKind", problem }
    }
    const object = this.objects.find("ConfigMap", namespace, name)
    if (object === undefined) {
      const problem = `there is no ConfigMap ${name} in the namespace ${namespace} of the policy`
      return { value: undefined, reason: "InvalidCACertificateRef", problem }
    }
    return { ...authoritiesOf(object), reason: "InvalidCACertificateRef" }
  }
}

function acceptedFor(
  targets: readonly { readonly ref: TargetRef; readonly problem: Said | undefined }[],
  encrypts: boolean,
): Said {
  const bad = targets.flatMap(({ problem }) => problem ?? [])
  if (bad.length === targets.length) return bad[0]!
  const but = bad.length === 0 ? "" : `; but: ${bad.map(({ message }) => message).join("; ")}`
  if (encrypts) return isTrue("Accepted", "Accepted", `Connections to it are encrypted${but}`)
  return isTrue(
    "Accepted",
    "Accepted",
    `No effect here: the TLS of clients passes through, and is not encrypted once more${but}`,
  )
}

function trusting(policy: BackendTLSPolicy, tls: UpstreamTls): Encryption {
  return { policy, tls, problem: undefined, key: digestOf(JSON.stringify(tls)) }
}

function failing(policy: BackendTLSPolicy, problem: string): Encryption {
  return { policy, tls: undefined, problem: `${titleOf(policy as AnyObject)}: ${problem}`, key: problem }
}

function isService({ group, kind }: TargetRef): boolean {
  return group === "" && kind === "Service"
}

function keyOf(namespace: string, name: string, port: string | undefined): string {
  return `${namespace}/${name}${port === undefined ? "" : `#${port}`}`
}
