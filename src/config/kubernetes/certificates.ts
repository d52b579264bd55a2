// Certificates, keys and authorities out of Secrets and ConfigMaps. Each object is read once. What is said of them never
// shows what is in them.
import { X509Certificate } from "node:crypto"
import { IdentityInvalid, readIdentity, type Identity } from "../../tls/identity.ts"
import { PemInvalid, pemBlocks } from "../../tls/pem.ts"
import { titleOf } from "./objects.ts"
import type { ObjectOf } from "./types.ts"

/** What came of reading; `problem` says what was found and what is expected. */
export type Found<Value> =
  | { readonly value: Value; readonly problem: undefined }
  | { readonly value: undefined; readonly problem: string }

/** The type of Secrets that hold a certificate and its key. */
export const TLS_SECRET = "kubernetes.io/tls"
const CERTIFICATE = "tls.crt"
const KEY = "tls.key"
/** The key of what holds authorities. */
export const AUTHORITIES = "ca.crt"

const pairs = new WeakMap<ObjectOf<"Secret">, Found<Identity>>()
const authorities = new WeakMap<ObjectOf<"Secret"> | ObjectOf<"ConfigMap">, Found<string>>()

/** The certificate of a Secret with its key, checked to belong together. Its dates are not looked at. */
export function identityOf(secret: ObjectOf<"Secret">): Found<Identity> {
  let found = pairs.get(secret)
  if (found === undefined) pairs.set(secret, (found = readPair(secret)))
  return found
}

/** The PEM text of the authorities in a ConfigMap or a Secret. */
export function authoritiesOf(object: ObjectOf<"Secret"> | ObjectOf<"ConfigMap">): Found<string> {
  let found = authorities.get(object)
  if (found === undefined) authorities.set(object, (found = readAuthorities(object)))
  return found
}

/** The text of one entry; `undefined` where there is none. */
export function secretText({ body: { data, stringData } }: ObjectOf<"Secret">, key: string): string | undefined {
  // As in a cluster: what is written plainly replaces what is not.
  const plain = own(stringData, key)
  if (plain !== undefined) return plain
  const encoded = own(data, key)
  return encoded === undefined ? undefined : Buffer.from(encoded, "base64").toString("utf8")
}

function own(values: Readonly<Record<string, string>> | undefined, key: string): string | undefined {
  return values !== undefined && Object.hasOwn(values, key) ? values[key] : undefined
}

function readPair(secret: ObjectOf<"Secret">): Found<Identity> {
  const { type } = secret.body
  const title = titleOf(secret)
  // Nobody else writes the type into what they write by hand; a cluster calls it Opaque then.
  if (type !== TLS_SECRET)
    return failed(`${title} is of type ${JSON.stringify(type ?? "Opaque")}; expected \`type: ${TLS_SECRET}\``)
  const cert = secretText(secret, CERTIFICATE)
  const key = secretText(secret, KEY)
  const missing = [cert === undefined ? CERTIFICATE : undefined, key === undefined ? KEY : undefined].filter(Boolean)
  if (cert === undefined || key === undefined)
    return failed(`${title} has no ${missing.join(" and no ")}; expected both in its data`)
  try {
    return found(readIdentity({ file: CERTIFICATE, text: cert }, { file: KEY, text: key }))
  } catch (error) {
    if (!(error instanceof IdentityInvalid)) throw error
    return failed(`${error.file} of ${title}: ${error.message}`)
  }
}

function readAuthorities(object: ObjectOf<"Secret"> | ObjectOf<"ConfigMap">): Found<string> {
  const title = titleOf(object)
  const text = object.kind === "Secret" ? secretText(object, AUTHORITIES) : configText(object, AUTHORITIES)
  if (text === undefined) return failed(`${title} has no ${AUTHORITIES}; expected PEM certificates under that key`)
  try {
    const certificates = pemBlocks(text).filter(({ label }) => label === "CERTIFICATE")
    if (certificates.length === 0)
      return failed(`${AUTHORITIES} of ${title} has no certificate; expected "-----BEGIN CERTIFICATE-----"`)
    // A key that lies beside them is nobody's business.
    return found(certificates.map(({ der }) => new X509Certificate(der).toString()).join(""))
  } catch (error) {
    if (error instanceof PemInvalid) return failed(`${AUTHORITIES} of ${title}: ${error.message}`)
    return failed(`${AUTHORITIES} of ${title}: a certificate in it cannot be read: its content is damaged`)
  }
}

function configText({ body: { binaryData, data } }: ObjectOf<"ConfigMap">, key: string): string | undefined {
  const encoded = own(binaryData, key)
  return own(data, key) ?? (encoded === undefined ? undefined : Buffer.from(encoded, "base64").toString("utf8"))
}

function found<Value>(value: Value): Found<Value> {
  return { value, problem: undefined }
}

function failed<Value>(problem: string): Found<Value> {
  return { value: undefined, problem }
}
