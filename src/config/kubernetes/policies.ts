// Which TidegatePolicies apply to what, and what is said of each of their targets. Both halves of the compiler ask here:
// listeners for `listener` and `tls`, routes for the rest.
import type { Condition, Surroundings } from "../manifests/document.ts"
import { conditions, inOrderOfAge, isFalse, isTrue, type Said } from "./conditions.ts"
import { GATEWAY_GROUP, titleOf, type Objects } from "./objects.ts"
import { CONTROLLER, type TidegatePolicySpec } from "./tidegate-policy.ts"
import type { AnyObject, GatewayListener, ObjectOf } from "./types.ts"

export type TidegatePolicy = ObjectOf<"TidegatePolicy">
/** What a TidegatePolicy may be attached to. */
export type Target = ObjectOf<"Gateway"> | ObjectOf<"ListenerSet"> | ObjectOf<"TCPRoute"> | ObjectOf<"TLSRoute">
type TargetRef = TidegatePolicySpec["targetRefs"][number]

/** metav1.PolicyAncestorStatus. */
export interface AncestorStatus {
  readonly ancestorRef: {
    readonly group: string
    readonly kind: string
    readonly namespace: string
    readonly name: string
    readonly sectionName?: string
  }
  readonly controllerName: string
  readonly conditions: readonly Condition[]
}

const NONE: readonly TidegatePolicy[] = Object.freeze([])

export class Policies {
  private readonly surroundings: Surroundings
  private readonly all: readonly TidegatePolicy[]
  private readonly applied = new Map<string, TidegatePolicy>()
  /** What is said of a target, if something is; by policy and the place in `targetRefs`. */
  private readonly said = new Map<TidegatePolicy, Map<number, Said>>()

  constructor(objects: Objects, surroundings: Surroundings) {
    this.surroundings = surroundings
    this.all = inOrderOfAge(surroundings, objects.all("TidegatePolicy"))
    for (const policy of this.all) policy.body.spec.targetRefs.forEach((ref, i) => this.attach(objects, policy, ref, i))
  }

  /**
   * The policies of an object, or of a section of it: the most specific one first, at most one of each rank. What the
   * first says nothing of is for the next to say.
   */
  of(target: Target, sectionName?: string): readonly TidegatePolicy[] {
    const whole = this.applied.get(keyOf(target.kind, target.metadata.namespace, target.metadata.name, undefined))
    const section =
      sectionName === undefined
        ? undefined
        : this.applied.get(keyOf(target.kind, target.metadata.namespace, target.metadata.name, sectionName))
    if (section === undefined) return whole === undefined ? NONE : [whole]
    return whole === undefined ? [section] : [section, whole]
  }

  /** Those of a listener: its own, those of the object that it stands in, those of its Gateway. */
  ofListener(
    owner: ObjectOf<"Gateway"> | ObjectOf<"ListenerSet">,
    gateway: ObjectOf<"Gateway">,
    name: string,
  ): readonly TidegatePolicy[] {
    const own = this.of(owner, name)
    return owner === gateway ? own : [...own, ...this.of(gateway)]
  }

  /**
   * Says of the targets of the policy that lead to `target`, or to this section of it, what keeps it from being carried
   * out; the first word stays.
   */
  reject(policy: TidegatePolicy, target: Target, reason: string, message: string, sectionName?: string): void {
    policy.body.spec.targetRefs.forEach((ref, i) => {
      if (ref.kind !== target.kind || ref.name !== target.metadata.name) return
      if (sectionName !== undefined && ref.sectionName !== undefined && ref.sectionName !== sectionName) return
      this.say(policy, i, isFalse("Accepted", reason, message))
    })
  }

  /** Every policy with its `status.ancestors`, once both halves have said what they have to. */
  statuses(): ReadonlyMap<TidegatePolicy, readonly AncestorStatus[]> {
    return new Map(this.all.map((policy) => [policy, this.ancestorsOf(policy)]))
  }

  private ancestorsOf(policy: TidegatePolicy): readonly AncestorStatus[] {
    const { namespace } = policy.metadata
    return policy.body.spec.targetRefs.map(({ group, kind, name, sectionName }, i) => {
      const on = `${kind} ${namespace}/${name}${sectionName === undefined ? "" : `, listener ${sectionName}`}`
      const said = this.said.get(policy)?.get(i) ?? isTrue("Accepted", "Accepted", `Applies to ${on}`)
      return {
        ancestorRef: { group, kind, namespace, name, ...(sectionName === undefined ? {} : { sectionName }) },
        controllerName: CONTROLLER,
        conditions: conditions(this.surroundings, policy, `target ${on}`, [said]),
      }
    })
  }

  private attach(objects: Objects, policy: TidegatePolicy, ref: TargetRef, i: number): void {
    const { kind, name, sectionName } = ref
    const { namespace } = policy.metadata
    const problem = targetProblem(objects, namespace, ref)
    if (problem !== undefined) return this.say(policy, i, problem)
    const key = keyOf(kind, namespace, name, sectionName)
    const older = this.applied.get(key)
    if (older === undefined) this.applied.set(key, policy)
    // One that names a target twice says the same twice.
    else if (older !== policy) this.say(policy, i, isFalse("Accepted", "Conflicted", takenBy(older, kind, ref)))
  }

  private say(policy: TidegatePolicy, i: number, said: Said): void {
    const known = this.said.get(policy)
    if (known === undefined) this.said.set(policy, new Map([[i, said]]))
    else if (!known.has(i)) known.set(i, said)
  }
}

function targetProblem(objects: Objects, namespace: string, ref: TargetRef): Said | undefined {
  const { group, kind, name, sectionName } = ref
  if (group !== GATEWAY_GROUP)
    return isFalse("Accepted", "Invalid", `${kind} of the group ${JSON.stringify(group)}: expected ${GATEWAY_GROUP}`)
  const target: AnyObject | undefined = objects.find(kind, namespace, name)
  if (target === undefined)
    return isFalse(
      "Accepted",
      "TargetNotFound",
      `There is no ${kind} ${name} in the namespace ${namespace} of the policy`,
    )
  if (sectionName === undefined) return undefined
  if (target.kind !== "Gateway" && target.kind !== "ListenerSet")
    return isFalse("Accepted", "Invalid", `A ${kind} has no sections that a policy could name: leave sectionName out`)
  const names = target.body.spec.listeners.map((listener: GatewayListener) => listener.name)
  if (names.includes(sectionName)) return undefined
  return isFalse(
    "Accepted",
    "TargetNotFound",
    `${titleOf(target)} has no listener ${JSON.stringify(sectionName)}; it has ${names.join(", ")}`,
  )
}

function takenBy(older: TidegatePolicy, kind: string, { name, sectionName }: TargetRef): string {
  const what = sectionName === undefined ? `${kind} ${name}` : `the listener ${sectionName} of ${kind} ${name}`
  return `${titleOf(older)} is attached to ${what} already, and is older, or comes first by name`
}

function keyOf(kind: string, namespace: string, name: string, sectionName: string | undefined): string {
  return `${kind} ${namespace}/${name}${sectionName === undefined ? "" : `#${sectionName}`}`
}
