// All objects of all files, found by what refers to them: by name, by kind, by what a ReferenceGrant allows. A look-up
// costs the same however many there are.
import type { AnyObject, Kind, ObjectOf } from "./types.ts"

/** The group of Gateway API's own kinds. */
export const GATEWAY_GROUP = "gateway.networking.k8s.io"

/** Who refers to something. */
export interface Referrer {
  readonly fromGroup: string
  readonly fromKind: string
  readonly fromNamespace: string
}

/** What is referred to. */
export interface Referent {
  readonly group: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
}

/** Names that are granted; `"all"` of a kind. */
type Granted = Set<string> | "all"

/** What every namespace is labelled with in a cluster. */
const NAME_LABEL = "kubernetes.io/metadata.name"

export class Objects {
  /** Those whose kind, namespace and name another one before them has: not served. */
  readonly duplicates: readonly AnyObject[]
  private readonly byKind = new Map<Kind, AnyObject[]>()
  private readonly byName = new Map<string, AnyObject>()
  private readonly grants = new Map<string, Granted>()
  /** By kind, the namespaces that have one of a name; made when somebody asks. */
  private readonly namespaces = new Map<Kind, Map<string, string>>()

  constructor(objects: readonly AnyObject[]) {
    const duplicates: AnyObject[] = []
    for (const object of objects) {
      const key = keyOf(object.kind, object.metadata.namespace, object.metadata.name)
      if (this.byName.has(key)) {
        duplicates.push(object)
        continue
      }
      this.byName.set(key, object)
      const known = this.byKind.get(object.kind)
      if (known === undefined) this.byKind.set(object.kind, [object])
      else known.push(object)
    }
    this.duplicates = duplicates
    for (const grant of this.all("ReferenceGrant")) this.grant(grant)
  }

  /** @param namespace `""` for what no namespace holds */
  find<K extends Kind>(kind: K, namespace: string, name: string): ObjectOf<K> | undefined {
    return this.byName.get(keyOf(kind, namespace, name)) as ObjectOf<K> | undefined
  }

  /** In the order of the documents. */
  all<K extends Kind>(kind: K): readonly ObjectOf<K>[] {
    return (this.byKind.get(kind) ?? []) as unknown as readonly ObjectOf<K>[]
  }

  /** A namespace that has an object of this name, if one does: for whoever looked in another one. */
  namespaceWith(kind: Kind, name: string): string | undefined {
    let known = this.namespaces.get(kind)
    if (known === undefined) {
      known = new Map(this.all(kind).map(({ metadata }) => [metadata.name, metadata.namespace]))
      this.namespaces.set(kind, known)
    }
    return known.get(name)
  }

  /** Whether the reference stays in its namespace, or a ReferenceGrant of the other one allows it. */
  isGranted({ fromGroup, fromKind, fromNamespace }: Referrer, { group, kind, name, namespace }: Referent): boolean {
    if (fromNamespace === namespace) return true
    const granted = this.grants.get(grantKey(fromGroup, fromKind, fromNamespace, group, kind, namespace))
    return granted === "all" || (granted?.has(name) ?? false)
  }

  /** The labels of a namespace, which exists whether or not there is an object for it. */
  namespaceLabels(namespace: string): Readonly<Record<string, string>> {
    const labels = this.find("Namespace", "", namespace)?.metadata.labels
    return { ...labels, [NAME_LABEL]: namespace }
  }

  private grant({ body, metadata }: ObjectOf<"ReferenceGrant">): void {
    for (const from of body.spec.from) {
      for (const to of body.spec.to) {
        const key = grantKey(from.group, from.kind, from.namespace, to.group, to.kind, metadata.namespace)
        const known = this.grants.get(key)
        // An empty name is none.
        if (to.name === undefined || to.name === "") this.grants.set(key, "all")
        else if (known === undefined) this.grants.set(key, new Set([to.name]))
        else if (known !== "all") known.add(to.name)
      }
    }
  }
}

function keyOf(kind: string, namespace: string, name: string): string {
  return `${kind} ${namespace}/${name}`
}

function grantKey(...parts: readonly string[]): string {
  return parts.join(" ")
}

/** As messages name an object: `Gateway default/edge`. */
export function titleOf({ kind, metadata: { name, namespace } }: AnyObject): string {
  return `${kind} ${namespace === "" ? name : `${namespace}/${name}`}`
}
