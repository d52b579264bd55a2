// What endpoints that are objects refer to: Secrets, ConfigMaps, Services, IP policies.
import { didYouMean } from "../../policy/suggest.ts"
import type { Surroundings } from "../manifests/document.ts"
import { Objects } from "../kubernetes/objects.ts"
import type { AnyObject, ObjectOf, ObjectReference } from "../kubernetes/types.ts"
import { IpPolicies, type IpPolicy, type NoIpPolicy } from "./ip-policies.ts"
import { ServiceUpstreams, type ServiceUpstream } from "./service-upstreams.ts"
import type { Upstream } from "./upstream.ts"

type Holder = ObjectOf<"Secret"> | ObjectOf<"ConfigMap">

export interface NotFound {
  readonly problem: string
  readonly hint: string | undefined
}

/** Whether a look-up that was made would give the same now. */
export type Dependency = (now: References) => boolean

export class References {
  readonly objects: Objects
  readonly ipPolicies: IpPolicies
  private readonly services: ServiceUpstreams
  private asked: Dependency[] = []

  constructor(objects: readonly AnyObject[], surroundings: Surroundings) {
    this.objects = new Objects(objects)
    this.ipPolicies = new IpPolicies(this.objects.all("IPPolicy"))
    this.services = new ServiceUpstreams(this.objects, surroundings)
  }

  /** What was looked up since the last call. */
  takeAsked(): readonly Dependency[] {
    const { asked } = this
    this.asked = []
    return asked
  }

  trafficPolicy(namespace: string, name: string): ObjectOf<"NgrokTrafficPolicy"> | undefined {
    const found = this.objects.find("NgrokTrafficPolicy", namespace, name)
    this.asked.push(({ objects }) => objects.find("NgrokTrafficPolicy", namespace, name) === found)
    return found
  }

  /** @param namespace `undefined` for who is in none */
  ipPolicy(name: string, namespace: string | undefined): IpPolicy | NoIpPolicy {
    const found = this.ipPolicies.find(name, namespace)
    this.asked.push(({ ipPolicies }) => ipPolicies.find(name, namespace) === found)
    return found
  }

  /** `undefined` for what is no Service of the folder: the DNS may know it. */
  service(upstream: Upstream): ServiceUpstream | NotFound | undefined {
    if (!ServiceUpstreams.mayBe(upstream)) return undefined
    const found = this.services.find(upstream)
    const shown = JSON.stringify(found)
    this.asked.push(({ services }) => JSON.stringify(services.find(upstream)) === shown)
    return found
  }

  secret(from: AnyObject, ref: ObjectReference): { readonly object: ObjectOf<"Secret"> } | NotFound {
    const found = this.holder(from, ref, ["Secret"])
    return "problem" in found || found.object.kind === "Secret"
      ? (found as { readonly object: ObjectOf<"Secret"> } | NotFound)
      : { problem: `${found.object.kind} ${ref.name} is no Secret`, hint: undefined }
  }

  authorities(from: AnyObject, ref: ObjectReference): { readonly object: Holder } | NotFound {
    return this.holder(from, ref, ["Secret", "ConfigMap"])
  }

  /** In the namespace of whoever refers to it. */
  private holder(
    { metadata: { namespace } }: AnyObject,
    ref: ObjectReference,
    kinds: readonly Holder["kind"][],
  ): { readonly object: Holder } | NotFound {
    const { kind, name } = ref
    const wanted = kinds.filter((one) => kind === undefined || kind === one)
    if (wanted.length === 0) return { problem: `${kind} ${name}: expected ${kinds.join(" or ")}`, hint: undefined }
    if (ref.namespace !== undefined && ref.namespace !== namespace)
      return {
        problem: `${wanted[0]} ${ref.namespace}/${name} is in another namespace`,
        hint: `it has to be in ${namespace}, the namespace of the endpoint`,
      }
    for (const one of wanted) {
      const object = this.objects.find(one, namespace, name)
      this.asked.push(({ objects }) => objects.find(one, namespace, name) === object)
      if (object !== undefined) return { object }
    }
    const names = wanted.flatMap((one) =>
      this.objects
        .all(one)
        .filter(({ metadata }) => metadata.namespace === namespace)
        .map(({ metadata }) => metadata.name),
    )
    // 1,000: to look for a slip of the hand among more takes longer than it helps.
    const near = names.length > 1000 ? "" : didYouMean(name, names)
    return { problem: `there is no ${wanted.join(" or ")} ${namespace}/${name}${near}`, hint: undefined }
  }
}
