// What an expectations file wants to be there before any test: the echo protocol, certificates, and backends.
import type { Value } from "./reading.ts"

export interface Supplies {
  readonly echo: EchoProtocol
  readonly certificates: readonly CertificateWish[]
  readonly backends: readonly BackendWish[]
}

export interface EchoProtocol {
  readonly plainPort: number
  readonly tlsPort: number
  /** The line with which a server greets. */
  readonly welcome: string
  /** What is answered to a line; `IS_TLS` and `TEST` have answers of their own. */
  readonly commands: ReadonlyMap<string, string>
  /** With `<deployment>`, `<hash>` and `<id>`. */
  readonly podName: string
}

export interface CertificateWish {
  readonly kind: "secret" | "configMap"
  readonly name: string
  readonly namespaces: readonly string[]
  readonly sans: readonly string[]
  /** The name of the authority that signs it; `undefined`: itself. */
  readonly authority: string | undefined
  readonly isAuthority: boolean
  /** The key of the ConfigMap. */
  readonly key: string
  /** Backends that show it. */
  readonly usedBy: readonly string[]
}

export interface BackendWish {
  readonly name: string
  readonly namespace: string
  readonly kind: EchoKind
  readonly replicas: number
  /** The Service's ports to the pods'. */
  readonly ports: ReadonlyMap<number, number>
}

export type EchoKind = "tcp-echo" | "https-json-echo"

/** Where objects are that nobody gives another namespace. */
export const NAMESPACE = "gateway-conformance-infra"

export const SUPPLY_KEYS = ["echo", "certificates", "backends"]

const KINDS: readonly EchoKind[] = ["tcp-echo", "https-json-echo"]
const ECHO_KEYS = ["plainPort", "tlsPort", "welcome", "commands", "podName", "note"]
const SIGNATURE_KEYS = ["ca", "sans", "selfSigned"]
const CERTIFICATE_KEYS = [
  "configMap",
  "secret",
  "key",
  "role",
  ...SIGNATURE_KEYS,
  "usedBy",
  "namespace",
  "alsoNamespace",
  "note",
]
const BACKEND_KEYS = ["service", "kind", "replicas", "namespace", "note"]

const DEFAULT_COMMANDS = { PING: "PONG", IS_TLS: "true|false", TEST: "one JSON line" }

export function readSupplies(fields: ReadonlyMap<string, Value>): Supplies {
  return {
    echo: readEcho(fields.get("echo")?.known(ECHO_KEYS) ?? new Map()),
    certificates: fields.get("certificates")?.items().map(readCertificate) ?? [],
    backends: [...(fields.get("backends")?.fields() ?? [])].map(readBackend),
  }
}

function readEcho(fields: ReadonlyMap<string, Value>): EchoProtocol {
  const commands = fields.get("commands")?.fields()
  return {
    plainPort: fields.get("plainPort")?.port() ?? 3000,
    tlsPort: fields.get("tlsPort")?.port() ?? 8443,
    welcome: fields.get("welcome")?.text() ?? "Gateway API Test TCP Server",
    commands: new Map(
      commands === undefined
        ? Object.entries(DEFAULT_COMMANDS)
        : [...commands].map(([name, value]) => [name, value.text()]),
    ),
    podName: fields.get("podName")?.text() ?? "<deployment>-<hash>-<id>",
  }
}

function readCertificate(entry: Value): CertificateWish {
  const fields = entry.known(CERTIFICATE_KEYS)
  const secret = fields.get("secret")
  const named = secret ?? fields.get("configMap")
  if (named === undefined) throw entry.fail("expected a `secret` or a `configMap`")
  const role = fields.get("role")
  if (role !== undefined && !["CA", "server", "client"].includes(role.text()))
    throw role.expected("CA, server or client")
  const selfSigned = fields.get("selfSigned")?.flag() ?? false
  const authority = fields.get("ca")?.text()
  if (selfSigned && authority !== undefined) throw entry.fail("it is self-signed, and signed by a `ca`")
  const namespace = fields.get("namespace")?.text() ?? NAMESPACE
  return {
    kind: secret === undefined ? "configMap" : "secret",
    name: named.text(),
    namespaces: [namespace, ...(fields.get("alsoNamespace")?.texts() ?? [])],
    sans: fields.get("sans")?.texts() ?? [],
    authority,
    isAuthority: role?.text() === "CA",
    key: fields.get("key")?.text() ?? "ca.crt",
    usedBy: fields.get("usedBy")?.texts() ?? [],
  }
}

function readBackend([name, entry]: [string, Value]): BackendWish {
  const fields = entry.known(BACKEND_KEYS)
  const service = fields.get("service")
  if (service === undefined) throw entry.fail("expected a `service` with its ports")
  const kind = fields.get("kind")
  const known = KINDS.find((each) => each === (kind?.text() ?? "tcp-echo"))
  if (known === undefined) throw kind!.expected(KINDS.join(" or "))
  const ports = [...service.fields()].map(([port, target]): [number, number] => {
    if (!(Number(port) > 0)) throw target.fail(`${JSON.stringify(port)} is no port`)
    return [Number(port), target.port()]
  })
  return {
    name,
    namespace: fields.get("namespace")?.text() ?? NAMESPACE,
    kind: known,
    replicas: fields.get("replicas")?.count() ?? 1,
    ports: new Map(ports),
  }
}
