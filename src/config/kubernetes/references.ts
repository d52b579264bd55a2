// References to Secrets and ConfigMaps: what they lead to, or why they lead nowhere, in the words of Gateway API.
import type { Identity } from "../../tls/identity.ts"
import { authoritiesOf, identityOf } from "./certificates.ts"
import { GATEWAY_GROUP, type Objects } from "./objects.ts"
import type { ObjectOf, ObjectReference } from "./types.ts"

/** Why a reference leads nowhere. */
export interface Unresolved {
  /** A reason of `ResolvedRefs`. */
  readonly reason: string
  readonly message: string
}

export interface Resolved<Value> {
  readonly values: readonly Value[]
  /** In the order of the references. */
  readonly unresolved: readonly Unresolved[]
}

type Holder = ObjectOf<"Gateway"> | ObjectOf<"ListenerSet">

/** The certificates that `certificateRefs` lead to. */
export function resolveCertificates(
  objects: Objects,
  holder: Holder,
  refs: readonly ObjectReference[],
  invalid: "InvalidCertificateRef" | "InvalidClientCertificateRef",
): Resolved<Identity> {
  return resolve(refs, (ref) => {
    const { group, kind, name, namespace, what } = named(holder, ref, "Secret")
    if (group !== "" || kind !== "Secret")
      return { reason: invalid, message: `${what} is no Secret: a certificate is in a Secret of the core group ("")` }
    if (!isGranted(objects, holder, group, kind, namespace, name)) return notGranted(holder, what, kind, namespace)
    const secret = objects.find("Secret", namespace, name)
    if (secret === undefined) return { reason: invalid, message: missing(objects, what, "Secret", name) }
    const { problem, value } = identityOf(secret)
    return value ?? { reason: invalid, message: problem ?? "" }
  })
}

/** The authorities that `caCertificateRefs` lead to. */
export function resolveAuthorities(
  objects: Objects,
  holder: Holder,
  refs: readonly ObjectReference[],
): Resolved<string> {
  return resolve(refs, (ref) => {
    const { group, kind, name, namespace, what } = named(holder, ref, "ConfigMap")
    if (group !== "" || (kind !== "ConfigMap" && kind !== "Secret"))
      return {
        reason: "InvalidCACertificateKind",
        message: `${what}: authorities are in the ca.crt of a ConfigMap, or of a Secret, of the core group ("")`,
      }
    if (!isGranted(objects, holder, group, kind, namespace, name)) return notGranted(holder, what, kind, namespace)
    const object = objects.find(kind, namespace, name)
    const reason = "InvalidCACertificateRef"
    if (object === undefined) return { reason, message: missing(objects, what, kind, name) }
    const { problem, value } = authoritiesOf(object)
    return value ?? { reason, message: problem ?? "" }
  })
}

function resolve<Value>(
  refs: readonly ObjectReference[],
  one: (ref: ObjectReference) => Value | Unresolved,
): Resolved<Value> {
  const values: Value[] = []
  const unresolved: Unresolved[] = []
  for (const ref of refs) {
    const found = one(ref)
    if (isUnresolved(found)) unresolved.push(found)
    else values.push(found)
  }
  return { values, unresolved }
}

function isUnresolved(found: unknown): found is Unresolved {
  return typeof found === "object" && found !== null && "reason" in found
}

function named(holder: Holder, ref: ObjectReference, defaultKind: string) {
  const { group = "", kind = defaultKind, name } = ref
  const namespace = ref.namespace ?? holder.metadata.namespace
  const what = `${group === "" ? kind : `${kind}.${group}`} ${namespace}/${name}`
  return { group, kind, name, namespace, what }
}

function isGranted(
  objects: Objects,
  { kind: fromKind, metadata: { namespace: fromNamespace } }: Holder,
  group: string,
  kind: string,
  namespace: string,
  name: string,
): boolean {
  return objects.isGranted({ fromGroup: GATEWAY_GROUP, fromKind, fromNamespace }, { group, kind, namespace, name })
}

function notGranted(holder: Holder, what: string, kind: string, namespace: string): Unresolved {
  const { namespace: from } = holder.metadata
  const message = `${what} is in another namespace, where no ReferenceGrant lets it be used: one in ${namespace} with \`from\` {group: ${GATEWAY_GROUP}, kind: ${holder.kind}, namespace: ${from}} and \`to\` {group: "", kind: ${kind}} does`
  return { reason: "RefNotPermitted", message }
}

function missing(objects: Objects, what: string, kind: "Secret" | "ConfigMap", name: string): string {
  const elsewhere = objects.namespaceWith(kind, name)
  const near = elsewhere === undefined ? "" : `; there is one of this name in the namespace ${elsewhere}`
  return `${what} is in no file${near}`
}
