// BackendTLSPolicy: who is spoken to in TLS, whom the gateway takes for it, and what is said of the policy.
import { describe, expect, test } from "bun:test"
import { authority } from "../../helper/certificates.ts"
import { gateway, tlsSecret } from "./compiled.ts"
import { CLASS, route, service, Traffic } from "./traffic.ts"

const root = authority()
const EDGE = gateway("edge", ["{ name: tcp, port: 9000, protocol: TCP }"])
const DB = route("TCPRoute", "db", "parentRefs: [{ name: edge }]\nrules: [{ backendRefs: [{ name: db, port: 5432 }] }]")
const SERVICE = service("db", 5432, ["10.0.0.1"])
const PLAIN = "default/db:5432"
const SECURE = "default/db:5432 (tls)"
const block = (text: string) => JSON.stringify(text)
const CA = `apiVersion: v1
kind: ConfigMap
metadata: { name: ca }
data: { ca.crt: ${block(root.cert)} }
---
`

function policy(
  name: string,
  validation: string,
  { created = "2026-01-01T00:00:00Z", section = "", target = "db" } = {},
) {
  const sectionName = section === "" ? "" : `, sectionName: ${section}`
  return `apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: { name: ${name}, creationTimestamp: "${created}" }
spec:
  targetRefs: [{ group: "", kind: Service, name: ${target}${sectionName} }]
  validation: { ${validation} }
---
`
}
const TRUST = "hostname: db.test, caCertificateRefs: [{ group: '', kind: ConfigMap, name: ca }]"

test("targets are encrypted, verified by the hostname and the authorities of the policy", async () => {
  const traffic = new Traffic(EDGE + DB + SERVICE + CA + policy("tls", TRUST))
  expect(await traffic.goes(9000)).toBe(SECURE)
  expect(traffic.targets(SECURE)).toEqual(["tls://10.0.0.1:5432"])
  expect(traffic.pool(SECURE).tls).toMatchObject({ sni: "db.test" })
  expect(traffic.pool(SECURE).tls!.ca).toContain("BEGIN CERTIFICATE")
  expect(traffic.ancestors("BackendTLSPolicy", "tls")).toEqual([
    "Gateway edge: Accepted True Accepted, ResolvedRefs True ResolvedRefs",
  ])
})

test("the authorities of the system are trusted where the policy says so, and names of the DNS are encrypted too", async () => {
  const traffic = new Traffic(
    EDGE + DB + service("db", 5432) + policy("tls", "hostname: db.test, wellKnownCACertificates: System"),
  )
  expect(await traffic.goes(9000)).toBe(SECURE)
  expect(traffic.pool(SECURE).tls).toEqual({ sni: "db.test" })
  expect(traffic.pool(SECURE).targets.map(({ source }) => source)).toMatchObject([
    { kind: "dns", tls: true },
    { kind: "dns", tls: true },
  ])
})

test("with subjectAltNames the hostname is asked for, and the certificate has one of them", () => {
  const names =
    "subjectAltNames: [{ type: Hostname, hostname: Other.test }, { type: URI, uri: 'spiffe://abc.example.com/test-identity' }]"
  const traffic = new Traffic(EDGE + DB + SERVICE + CA + policy("tls", `${TRUST}, ${names}`))
  expect(traffic.pool(SECURE).tls).toMatchObject({
    sni: "db.test",
    names: ["other.test", "spiffe://abc.example.com/test-identity"],
  })
})

describe("a policy without a good authority", () => {
  test.each([
    [
      "a ConfigMap that is not there",
      "caCertificateRefs: [{ group: '', kind: ConfigMap, name: none }]",
      "InvalidCACertificateRef",
    ],
    [
      "a ConfigMap without ca.crt",
      "caCertificateRefs: [{ group: '', kind: ConfigMap, name: empty }]",
      "InvalidCACertificateRef",
    ],
    [
      "a ConfigMap with something else",
      "caCertificateRefs: [{ group: '', kind: ConfigMap, name: bad }]",
      "InvalidCACertificateRef",
    ],
    ["another kind", "caCertificateRefs: [{ group: example.com, kind: Bundle, name: ca }]", "InvalidKind"],
  ])("%s: connections are refused, and never in plain text", async (_, validation, reason) => {
    const maps = `apiVersion: v1
kind: ConfigMap
metadata: { name: empty }
data: {}
---
apiVersion: v1
kind: ConfigMap
metadata: { name: bad }
data: { ca.crt: "no certificate" }
---
`
    const traffic = new Traffic(EDGE + DB + SERVICE + CA + maps + policy("tls", `hostname: db.test, ${validation}`))
    expect(await traffic.goes(9000)).toStartWith("refused: BackendTLSPolicy default/tls: ")
    expect(traffic.pools()).toEqual([])
    expect(traffic.ancestors("BackendTLSPolicy", "tls")).toEqual([
      `Gateway edge: Accepted False NoValidCACertificate, ResolvedRefs False ${reason}`,
    ])
  })

  test("one good authority among bad ones is enough, and the status says what is bad", async () => {
    const refs =
      "caCertificateRefs: [{ group: '', kind: ConfigMap, name: none }, { group: '', kind: ConfigMap, name: ca }]"
    const traffic = new Traffic(EDGE + DB + SERVICE + CA + policy("tls", `hostname: db.test, ${refs}`))
    expect(await traffic.goes(9000)).toBe(SECURE)
    expect(traffic.ancestors("BackendTLSPolicy", "tls")).toEqual([
      "Gateway edge: Accepted True Accepted, ResolvedRefs False InvalidCACertificateRef",
    ])
  })

  test("well-known ones that nobody knows", async () => {
    const traffic = new Traffic(
      EDGE + DB + SERVICE + policy("tls", "hostname: db.test, wellKnownCACertificates: Mozilla"),
    )
    expect(await traffic.goes(9000)).toStartWith("refused: ")
    expect(traffic.ancestors("BackendTLSPolicy", "tls")).toEqual([
      "Gateway edge: Accepted False Invalid, ResolvedRefs True ResolvedRefs",
    ])
  })
})

const system = (hostname: string) => `hostname: ${hostname}, wellKnownCACertificates: System`

describe("of several policies", () => {
  test("for one Service the oldest is carried out, and the other told", async () => {
    const traffic = new Traffic(
      EDGE +
        DB +
        SERVICE +
        policy("aaa", system("young.test"), { created: "2026-02-01T00:00:00Z" }) +
        policy("zzz", system("old.test")),
    )
    await traffic.goes(9000)
    expect(traffic.pool(SECURE).tls).toEqual({ sni: "old.test" })
    expect(traffic.ancestors("BackendTLSPolicy", "aaa")[0]).toContain("Accepted False Conflicted")
    expect(traffic.ancestorMessage("BackendTLSPolicy", "aaa", "Accepted")).toBe(
      "BackendTLSPolicy default/zzz is about Service db already, and is older, or comes first by name",
    )
  })

  test("the one for a port goes before that for the Service", async () => {
    const named = SERVICE.replace("ports: [{ port: 5432 }]", "ports: [{ name: sql, port: 5432 }]").replace(
      "ports: [{ port: 5432 }]",
      "ports: [{ name: sql, port: 5432 }]",
    )
    const traffic = new Traffic(
      EDGE + DB + named + policy("all", system("all.test")) + policy("port", system("sql.test"), { section: "sql" }),
    )
    await traffic.goes(9000)
    expect(traffic.pool(SECURE).tls).toEqual({ sni: "sql.test" })
  })

  test("one for what is not there is told", () => {
    const traffic = new Traffic(
      EDGE +
        DB +
        SERVICE +
        policy("service", system("a.test"), { target: "none" }) +
        policy("port", system("a.test"), { section: "sql" }),
    )
    expect(traffic.ancestors("BackendTLSPolicy", "service")).toEqual([
      "Service none: Accepted False TargetNotFound, ResolvedRefs True ResolvedRefs",
    ])
    expect(traffic.ancestors("BackendTLSPolicy", "port")[0]).toContain("Accepted False TargetNotFound")
  })
})

const encrypting = (listener: string) =>
  gateway("edge", [listener]) +
  route(
    "TLSRoute",
    "db",
    "parentRefs: [{ name: edge }]\nhostnames: [db.test]\nrules: [{ backendRefs: [{ name: db, port: 5432 }] }]",
  ) +
  SERVICE +
  CA +
  policy("tls", TRUST)

describe("TLS of clients", () => {
  test("that passes through is not encrypted once more, and the status says so", async () => {
    const traffic = new Traffic(encrypting("{ name: tls, port: 9443, protocol: TLS, tls: { mode: Passthrough } }"))
    expect(await traffic.goes(9443, { sni: "db.test" })).toBe(PLAIN)
    expect(traffic.ancestors("BackendTLSPolicy", "tls")[0]).toContain("Accepted True Accepted")
    expect(traffic.ancestorMessage("BackendTLSPolicy", "tls", "Accepted")).toContain("No effect here")
  })

  test("that ends here is encrypted again, with the Gateway's certificate where it has one", async () => {
    const terminate =
      "{ name: tls, port: 9443, protocol: TLS, tls: { mode: Terminate, certificateRefs: [{ name: pair }] } }"
    const pair = tlsSecret("pair", root.issue({ names: ["db.test"] }))
    const traffic = new Traffic(encrypting(terminate) + pair)
    expect(await traffic.goes(9443, { sni: "db.test" })).toBe(SECURE)
    expect(traffic.pool(SECURE).tls!.certificate).toBeUndefined()
    const shown = encrypting(terminate).replace(
      "spec:\n  gatewayClassName",
      "spec:\n  tls: { backend: { clientCertificateRef: { name: own } } }\n  gatewayClassName",
    )
    const own = root.issue({ names: ["gateway"], usage: "client" })
    const mutual = new Traffic(shown + pair + tlsSecret("own", own))
    expect(await mutual.goes(9443, { sni: "db.test" })).toBe("default/db:5432 (tls of Gateway default/edge)")
    expect(mutual.pool("default/db:5432 (tls of Gateway default/edge)").tls!.certificate!.key).toContain("PRIVATE KEY")
    const said = JSON.stringify([mutual.compiled.objects, [...mutual.compiled.parts].map(([, { key }]) => key)])
    expect(said).not.toContain("PRIVATE KEY")
  })
})

test("another authority is another key", () => {
  const key = (ca: string) =>
    new Traffic({
      "a.yaml": CLASS + EDGE + SERVICE + policy("tls", TRUST),
      "b.yaml": DB,
      "c.yaml": CA.replace(block(root.cert), block(ca)),
    }).compiled.parts.get("b.yaml")!.key
  expect(key(root.cert)).toBe(key(root.cert))
  expect(key(root.cert)).not.toBe(key(authority({ name: "Other root" }).cert))
})
