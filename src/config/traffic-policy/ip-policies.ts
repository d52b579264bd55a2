// IPPolicy objects: their rules, checked, for whoever names them.
import { digestOf } from "../module-graph.ts"
import { problemAt } from "../manifests/document.ts"
import type { Diagnostic } from "../diagnostic.ts"
import type { ObjectOf } from "../kubernetes/types.ts"
import { didYouMean } from "../../policy/suggest.ts"
import { cidrFault, type IpRules } from "./policy.ts"

export interface IpPolicy {
  readonly object: ObjectOf<"IPPolicy">
  /** `undefined` with problems. */
  readonly rules: IpRules | undefined
  readonly problems: readonly Diagnostic[]
  readonly key: string
}

/** Why a name leads nowhere. */
export interface NoIpPolicy {
  readonly message: string
  readonly hint: string | undefined
}

const read = new WeakMap<ObjectOf<"IPPolicy">, IpPolicy>()

export class IpPolicies {
  readonly all: readonly IpPolicy[]
  private readonly byId = new Map<string, IpPolicy>()
  private readonly byName = new Map<string, IpPolicy[]>()

  constructor(objects: readonly ObjectOf<"IPPolicy">[]) {
    this.all = objects.map(readIpPolicy)
    for (const policy of this.all) {
      const { name, namespace } = policy.object.metadata
      this.byId.set(`${namespace}/${name}`, policy)
      const same = this.byName.get(name)
      if (same === undefined) this.byName.set(name, [policy])
      else same.push(policy)
    }
  }

  /** @param namespace of whoever names it; `undefined` for what is in none */
  find(name: string, namespace: string | undefined): IpPolicy | NoIpPolicy {
    const own = this.byId.get(name.includes("/") ? name : `${namespace ?? "default"}/${name}`)
    const named = this.byName.get(name) ?? []
    const found = own ?? (namespace === undefined && named.length === 1 ? named[0] : undefined)
    if (found?.rules !== undefined) return found
    if (found !== undefined) return { message: `IPPolicy ${idOf(found)} has problems of its own`, hint: undefined }
    const elsewhere = named.map(idOf).join(", ")
    return {
      message: `there is no IPPolicy ${JSON.stringify(name)} here${didYouMean(name, [...this.byName.keys(), ...this.byId.keys()])} (ERR_NGROK_2216)`,
      hint: name.startsWith("ipp_")
        ? "that is a number of ngrok's: write the policy as an IPPolicy object into this folder, and name it here"
        : elsewhere === ""
          ? undefined
          : `with its namespace it is ${elsewhere}`,
    }
  }
}

function idOf({ object: { metadata } }: IpPolicy): string {
  return `${metadata.namespace}/${metadata.name}`
}

function readIpPolicy(object: ObjectOf<"IPPolicy">): IpPolicy {
  let known = read.get(object)
  if (known !== undefined) return known
  const { rules = [] } = object.body.spec
  const problems = rules.flatMap(({ cidr }, i) => {
    const fault = cidrFault(cidr)
    if (fault === undefined) return []
    return [problemAt(object.document, ["spec", "rules", i, "cidr"], `${fault.message} (ERR_NGROK_${fault.code})`)]
  })
  const of = (wanted: "allow" | "deny") => rules.filter(({ action }) => action === wanted).map(({ cidr }) => cidr)
  const found = { allow: of("allow"), deny: of("deny") }
  known = {
    object,
    rules: problems.length > 0 ? undefined : found,
    problems,
    key: digestOf(JSON.stringify(found)),
  }
  read.set(object, known)
  return known
}
