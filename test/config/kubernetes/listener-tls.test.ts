import { X509Certificate } from "node:crypto"
import { expect, test } from "bun:test"
import { readGateways } from "../../../src/config/kubernetes/gateways.ts"
import type { ListenerState } from "../../../src/config/kubernetes/listener-state.ts"
import { Policies } from "../../../src/config/kubernetes/policies.ts"
import type { TerminateOptions } from "../../../src/policy/terminate.ts"
import { authority } from "../../helper/certificates.ts"
import { clusterOf, STILL } from "../../helper/cluster-of-objects.ts"
import { base64, Cluster, gateway, tlsSecret } from "./compiled.ts"

const ca = authority()
const tls = ca.issue({ names: ["tls.example.com"] })
const listener = (refs: string, more = "") =>
  `{ name: tls, port: 8443, protocol: TLS, hostname: tls.example.com${more}, tls: { mode: Terminate, certificateRefs: [${refs}] } }`

/** The listeners as routes see them. */
function listenersOf(text: string): readonly ListenerState[] {
  const objects = clusterOf(text)
  return readGateways(objects, new Policies(objects, STILL), STILL).listeners
}

function optionsOf(text: string, sni?: string): TerminateOptions {
  const [first] = listenersOf(text)
  if (first?.terminate === undefined) throw new Error("TLS does not end there")
  return first.terminate(sni)
}

/** The names of the certificates that are presented. */
function presented(options: TerminateOptions): readonly string[] {
  const { certificates = [] } = options
  const list = "cert" in certificates ? [certificates] : certificates
  return list.map(({ cert }) => {
    const { subjectAltName, publicKey } = new X509Certificate(cert)
    return `${subjectAltName} ${publicKey.asymmetricKeyType}`
  })
}

function indented(pem: string): string {
  return pem.trim().replaceAll("\n", "\n    ")
}

function https(refs: string): string {
  return `{ name: tls, port: 443, protocol: HTTPS, tls: { certificateRefs: [${refs}] } }`
}

function listenerSaid(text: string): Readonly<Record<string, string>> {
  return new Cluster(text).listener("edge", "tls")
}

/** A Gateway that shows this certificate to targets. */
function presenting(ref: string): string {
  const backend = `tls: { backend: { clientCertificateRef: ${ref} } }`
  return gateway("edge", ["{ name: db, port: 1, protocol: TCP }"], [backend])
}

function gatewaySaid(ref: string): Readonly<Record<string, string>> {
  return new Cluster(presenting(ref) + tlsSecret("us", tls)).said("Gateway", "edge")
}

test("TLS ends with the certificate of a Secret", () => {
  const text = gateway("edge", [listener("{ name: site }")]) + tlsSecret("site", tls)
  const cluster = new Cluster(text)
  expect(cluster.listener("edge", "tls")).toEqual({
    Accepted: "True Accepted",
    Conflicted: "False NoConflicts",
    ResolvedRefs: "True ResolvedRefs",
    Programmed: "True Programmed",
  })
  expect(cluster.kinds("edge", "tls")).toEqual(["TLSRoute"])
  expect(cluster.bound()).toEqual(["tls://tls.example.com:8443 at *"])
  expect(cluster.refuses("tls")).toBe(false)
  expect(presented(optionsOf(text, "tls.example.com"))).toEqual(["DNS:tls.example.com ec"])
})

test("a Secret may be written in plain text", () => {
  const secret = `apiVersion: v1\nkind: Secret\nmetadata: { name: site }\ntype: kubernetes.io/tls\nstringData:\n  tls.crt: |\n    ${indented(tls.cert)}\n  tls.key: |\n    ${indented(tls.key)}\n`
  const cluster = new Cluster(gateway("edge", [listener("{ name: site }")]) + secret)
  expect(cluster.listener("edge", "tls")["Programmed"]).toBe("True Programmed")
})

const other = ca.issue({ names: ["other.example.com"] })
test.each([
  ["is in no file", ""],
  ["is of type", tlsSecret("site", tls).replace("kubernetes.io/tls", "Opaque")],
  ["has no tls.key", tlsSecret("site", tls).replace("tls.key", "key")],
  ["there is no certificate in it", tlsSecret("site", { cert: "nothing", key: tls.key })],
  ["there is no private key in it", tlsSecret("site", { cert: tls.cert, key: "nothing" })],
  ["does not belong to the certificate", tlsSecret("site", { cert: tls.cert, key: other.key })],
  [
    "cannot be read",
    tlsSecret("site", { cert: tls.cert.replace(/[A-Za-z]{20}/, "AAAAAAAAAAAAAAAAAAAA"), key: tls.key }),
  ],
])("a certificate that %s is not used, and the port refuses", (message, secret) => {
  const cluster = new Cluster(gateway("edge", [listener("{ name: site }")]) + secret)
  expect(cluster.listener("edge", "tls")).toEqual({
    Accepted: "True Accepted",
    Conflicted: "False NoConflicts",
    ResolvedRefs: "False InvalidCertificateRef",
    Programmed: "False Invalid",
  })
  expect(cluster.message("ResolvedRefs", "Gateway", "edge", "tls")).toContain(message)
  expect(cluster.said("Gateway", "edge")).toEqual({
    Accepted: "True Accepted",
    Programmed: "False Invalid",
    ResolvedRefs: "False ListenersNotResolved",
  })
  expect(cluster.refuses("tls")).toBe(true)
  expect(cluster.state("Gateway", "edge").serves!.size).toBe(0)
})

test.each(["{ group: example.com, name: site }", "{ kind: ConfigMap, name: site }"])("%s is no Secret", (ref) => {
  const cluster = new Cluster(gateway("edge", [listener(ref)]) + tlsSecret("site", tls))
  expect(cluster.listener("edge", "tls")["ResolvedRefs"]).toBe("False InvalidCertificateRef")
})

test("the references of an HTTPS listener are looked at as well", () => {
  const unsupported = { Accepted: "False UnsupportedProtocol", Programmed: "False Invalid" }
  expect(listenerSaid(gateway("edge", [https("{ name: site }")]) + tlsSecret("site", tls))).toMatchObject({
    ...unsupported,
    ResolvedRefs: "True ResolvedRefs",
  })
  expect(listenerSaid(gateway("edge", [https("{ name: site }")]))).toMatchObject({
    ...unsupported,
    ResolvedRefs: "False InvalidCertificateRef",
  })
  expect(listenerSaid(gateway("edge", [https("{ name: site, namespace: certs }")]))).toMatchObject({
    ...unsupported,
    ResolvedRefs: "False RefNotPermitted",
  })
})

const grant = (from: string, to: string, namespace = "certs") =>
  `apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: { name: grant, namespace: ${namespace} }\nspec: { from: [${from}], to: [${to}] }\n---\n`
const us = "{ group: gateway.networking.k8s.io, kind: Gateway, namespace: default }"
test.each([
  [undefined, false],
  [grant(us, '{ group: "", kind: Secret }'), true],
  [grant(us, '{ group: "", kind: Secret, name: site }'), true],
  [grant(us, '{ group: "", kind: Secret, name: another }, { group: "", kind: Secret, name: site }'), true],
  [grant(us, '{ group: "", kind: Secret, name: another }'), false],
  [grant(us, '{ group: "", kind: ConfigMap }'), false],
  [grant(us, "{ group: example.com, kind: Secret }"), false],
  [grant(us, '{ group: "", kind: Secret }', "default"), false],
  [grant(us.replace("Gateway", "ListenerSet"), '{ group: "", kind: Secret }'), false],
  [grant(us.replace("default", "apps"), '{ group: "", kind: Secret }'), false],
  [grant(us.replace("gateway.networking.k8s.io", '""'), '{ group: "", kind: Secret }'), false],
])("a Secret of another namespace: %#", (written, isGranted) => {
  const refs = "{ name: site, namespace: certs }"
  const cluster = new Cluster(gateway("edge", [listener(refs)]) + tlsSecret("site", tls, "certs") + (written ?? ""))
  expect(cluster.listener("edge", "tls")).toMatchObject(
    isGranted
      ? { ResolvedRefs: "True ResolvedRefs", Programmed: "True Programmed" }
      : { ResolvedRefs: "False RefNotPermitted", Programmed: "False Invalid" },
  )
})

test("grants of a Gateway are not those of its ListenerSets", () => {
  const set = `apiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: { name: more }\nspec:\n  parentRef: { name: edge }\n  listeners:\n    - ${listener("{ name: site, namespace: certs }")}\n---\n`
  const edge = gateway(
    "edge",
    ["{ name: db, port: 1, protocol: TCP }"],
    ["allowedListeners: { namespaces: { from: Same } }"],
  )
  const text = edge + set + tlsSecret("site", tls, "certs")
  const refused = new Cluster(text + grant(us, '{ group: "", kind: Secret }'))
  expect(refused.listener("more", "tls", "ListenerSet")["ResolvedRefs"]).toBe("False RefNotPermitted")
  // A set that has nothing else is not accepted; a Gateway would be.
  expect(refused.said("ListenerSet", "more")).toEqual({
    Accepted: "False ListenersNotValid",
    Programmed: "False ListenersNotValid",
  })
  expect(refused.status("Gateway", "edge")["attachedListenerSets"]).toBe(0)
  const granted = new Cluster(text + grant(us.replace("Gateway", "ListenerSet"), '{ group: "", kind: Secret }'))
  expect(granted.listener("more", "tls", "ListenerSet")["Programmed"]).toBe("True Programmed")
})

test("of several certificates each name gets its own, and others the first", () => {
  const wild = ca.issue({ names: ["*.example.com"] })
  const rsa = ca.issue({ names: ["*.example.com"], algorithm: "rsa" })
  const one = ca.issue({ names: ["one.example.com"] })
  const text =
    gateway("edge", [
      listener("{ name: wild }, { name: one }, { name: rsa }, { name: gone }").replace(
        "hostname: tls.example.com",
        'hostname: "*.example.com"',
      ),
    ]) +
    tlsSecret("wild", wild) +
    tlsSecret("one", one) +
    tlsSecret("rsa", rsa)
  const both = ["DNS:*.example.com ec", "DNS:*.example.com rsa"]
  expect(presented(optionsOf(text, "one.example.com"))).toEqual(["DNS:one.example.com ec"])
  expect(presented(optionsOf(text, "two.example.com")).toSorted()).toEqual(both)
  expect(presented(optionsOf(text, "a.b.example.com")).toSorted()).toEqual(both)
  expect(presented(optionsOf(text)).toSorted()).toEqual(both)
  const [state] = listenersOf(text)
  expect(state!.terminate!("one.example.com")).toBe(state!.terminate!("one.example.com"))
  // One that leads nowhere is said, and keeps the others from nothing.
  const cluster = new Cluster(text)
  expect(cluster.listener("edge", "tls")).toMatchObject({
    ResolvedRefs: "False InvalidCertificateRef",
    Programmed: "True Programmed",
  })
})

test("without certificates, those of the store are presented", () => {
  const text = gateway("edge", [
    '{ name: tls, port: 443, protocol: TLS, tls: { mode: Terminate, options: { tidegate.dev/min-version: "1.3" } } }',
  ])
  expect(optionsOf(text)).toEqual({ minVersion: "1.3" })
  expect(new Cluster(text).message("Accepted", "Gateway", "edge", "tls")).toContain("--certs")
})

test("tls.options of ours are carried out, and those of others are left to them", () => {
  const options =
    '{ tidegate.dev/min-version: "1.2", tidegate.dev/max-version: "1.3", tidegate.dev/alpn: "h2, http/1.1", tidegate.dev/ciphers: ECDHE-RSA-AES128-GCM-SHA256, example.com/x: y }'
  const text =
    gateway("edge", [listener("{ name: site }").replace("certificateRefs", `options: ${options}, certificateRefs`)]) +
    tlsSecret("site", tls)
  expect(optionsOf(text)).toMatchObject({
    minVersion: "1.2",
    maxVersion: "1.3",
    alpn: ["h2", "http/1.1"],
    ciphers: "ECDHE-RSA-AES128-GCM-SHA256",
  })
  expect(new Cluster(text).message("Accepted", "Gateway", "edge", "tls")).toContain("example.com/x")
})

test.each([
  ["{ tidegate.dev/min-versoin: '1.2' }", "tidegate.dev/min-versoin"],
  ["{ tidegate.dev/min-version: '1.1' }", '"1.1"'],
  ["{ tidegate.dev/min-version: '1.3', tidegate.dev/max-version: '1.2' }", "above"],
  ["{ tidegate.dev/ciphers: NONSENSE }", "NONSENSE"],
  ["{ tidegate.dev/alpn: '' }", "names like"],
])("with options %s nothing is served, and the port refuses", (options, message) => {
  const text =
    gateway("edge", [listener("{ name: site }").replace("certificateRefs", `options: ${options}, certificateRefs`)]) +
    tlsSecret("site", tls)
  const cluster = new Cluster(text)
  expect(cluster.listener("edge", "tls")).toMatchObject({
    Accepted: "False UnsupportedValue",
    Programmed: "False Invalid",
  })
  expect(cluster.message("Accepted", "Gateway", "edge", "tls")).toContain(message)
  expect(cluster.refuses("tls")).toBe(true)
})

test("names of a listener that refuses are not for a less specific one", () => {
  const [first, second] = listenersOf(
    gateway("edge", [
      '{ name: wild, port: 8443, protocol: TLS, hostname: "*.example.com", tls: { mode: Passthrough } }',
      listener("{ name: gone }"),
    ]),
  )
  expect(first!.shadowedBy).toEqual(["tls.example.com"])
  expect(second).toMatchObject({ serves: false, listen: [], terminate: undefined })
})

test("TLS that ends and TLS that passes share a port", () => {
  const text =
    gateway("edge", [
      listener("{ name: site }"),
      "{ name: pass, port: 8443, protocol: TLS, hostname: abc.example.com, tls: { mode: Passthrough } }",
    ]) + tlsSecret("site", tls)
  const cluster = new Cluster(text)
  expect(cluster.listener("edge", "tls")["Programmed"]).toBe("True Programmed")
  expect(cluster.listener("edge", "pass")["Programmed"]).toBe("True Programmed")
  expect(listenersOf(text).map(({ mode }) => mode)).toEqual(["Terminate", "Passthrough"])
})

test("a certificate that is good for names of others is told to both", () => {
  const wild = ca.issue({ names: ["*.example.com"] })
  const text =
    gateway("edge", [
      listener("{ name: wild }"),
      listener("{ name: org }").replace("name: tls,", "name: b,").replace("tls.example.com", "b.example.com"),
      listener("{ name: org }").replace("name: tls,", "name: c,").replace("tls.example.com", "c.example.org"),
    ]) +
    tlsSecret("wild", wild) +
    tlsSecret("org", ca.issue({ names: ["c.example.org"] }))
  const cluster = new Cluster(text)
  expect(cluster.listener("edge", "tls")["OverlappingTLSConfig"]).toBe("True OverlappingCertificates")
  expect(cluster.listener("edge", "b")["OverlappingTLSConfig"]).toBe("True OverlappingCertificates")
})

const authorities = (name: string, pem = ca.cert, key = "ca.crt") =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name} }\ndata:\n  ${key}: |\n    ${indented(pem)}\n---\n`
const validation = (ref: string, mode = "AllowValidOnly") =>
  `{ validation: { caCertificateRefs: [${ref}], mode: ${mode} } }`
const cm = (name: string) => `{ group: "", kind: ConfigMap, name: ${name} }`

test("clients have to show a certificate where the frontend says so, by port or by default", () => {
  const text =
    gateway(
      "edge",
      [
        listener("{ name: site }"),
        listener("{ name: site }").replace("name: tls,", "name: open,").replace("8443", "9443"),
      ],
      [`tls: { frontend: { default: ${validation(cm("clients"))}, perPort: [{ port: 9443, tls: {} }] } }`],
    ) +
    tlsSecret("site", tls) +
    authorities("clients")
  const [closed, open] = listenersOf(text)
  expect(closed!.terminate!(undefined)).toMatchObject({ clientCertificate: "require-and-verify" })
  expect(open!.terminate!(undefined)).not.toHaveProperty("clientCertificate")
  expect(closed!.terminateKey).not.toBe(open!.terminateKey)
  expect(new Cluster(text).said("Gateway", "edge")).not.toHaveProperty("InsecureFrontendValidationMode")
})

test("a fallback for clients without a good certificate is said of the Gateway", () => {
  const text =
    gateway(
      "edge",
      [listener("{ name: site }")],
      [`tls: { frontend: { default: ${validation(cm("clients"), "AllowInsecureFallback")} } }`],
    ) +
    tlsSecret("site", tls) +
    authorities("clients")
  expect(optionsOf(text)).toMatchObject({ clientCertificate: "request" })
  expect(new Cluster(text).said("Gateway", "edge")["InsecureFrontendValidationMode"]).toBe("True ConfigurationChanged")
})

test.each([
  [cm("gone"), "InvalidCACertificateRef"],
  [cm("keyless"), "InvalidCACertificateRef"],
  [cm("damaged"), "InvalidCACertificateRef"],
  ['{ group: "", kind: Service, name: db }', "InvalidCACertificateKind"],
  ['{ group: "", kind: ConfigMap, name: clients, namespace: other }', "RefNotPermitted"],
])("authorities of %s leave nobody to verify clients by", (ref, reason) => {
  const text =
    gateway("edge", [listener("{ name: site }")], [`tls: { frontend: { default: ${validation(ref)} } }`]) +
    tlsSecret("site", tls) +
    authorities("keyless", ca.cert, "other.crt") +
    authorities("damaged", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
  const cluster = new Cluster(text)
  expect(cluster.listener("edge", "tls")).toMatchObject({
    Accepted: "False NoValidCACertificate",
    ResolvedRefs: `False ${reason}`,
    Programmed: "False Invalid",
  })
  expect(cluster.refuses("tls")).toBe(true)
})

test("of several authorities the good ones are used, and the others are named", () => {
  const text =
    gateway(
      "edge",
      [listener("{ name: site }")],
      [`tls: { frontend: { default: ${validation(`${cm("clients")}, ${cm("gone")}`)} } }`],
    ) +
    tlsSecret("site", tls) +
    authorities("clients")
  expect(optionsOf(text)).toMatchObject({ clientCertificate: "require-and-verify" })
  const cluster = new Cluster(text)
  expect(cluster.listener("edge", "tls")).toMatchObject({
    Accepted: "True Accepted",
    ResolvedRefs: "False InvalidCACertificateRef",
    Programmed: "True Programmed",
  })
  expect(cluster.message("ResolvedRefs", "Gateway", "edge", "tls")).toContain("default/gone")
})

test("what is presented to targets is resolved for the Gateway", () => {
  expect(gatewaySaid("{ name: us }")["ResolvedRefs"]).toBe("True ResolvedRefs")
  expect(gatewaySaid("{ name: gone }")).toMatchObject({
    Accepted: "True Accepted",
    ResolvedRefs: "False InvalidClientCertificateRef",
  })
  expect(gatewaySaid("{ kind: ConfigMap, name: us }")["ResolvedRefs"]).toBe("False InvalidClientCertificateRef")
  expect(gatewaySaid("{ name: us, namespace: other }")["ResolvedRefs"]).toBe("False RefNotPermitted")
  const [state] = listenersOf(presenting("{ name: us }") + tlsSecret("us", tls))
  expect(state!.clientCertificate?.cert).toContain("BEGIN CERTIFICATE")
})

test("nothing that is said has a private key in it", () => {
  const misplaced = authorities("clients", ca.cert + tls.key)
  const wrong = tlsSecret("wrong", { cert: tls.key, key: tls.cert })
  const text =
    gateway(
      "edge",
      [listener("{ name: site }, { name: wrong }")],
      [
        `tls: { frontend: { default: ${validation(cm("clients"))} }, backend: { clientCertificateRef: { name: wrong } } }`,
      ],
    ) +
    tlsSecret("site", tls) +
    wrong +
    misplaced
  const everything = new Cluster(text).everything()
  expect(everything).not.toMatch(/-----BEGIN [A-Z ]*PRIVATE KEY/)
  for (const line of tls.key.split("\n").filter((one) => one.length > 20 && !one.startsWith("-"))) {
    expect(everything).not.toContain(line)
    expect(everything).not.toContain(base64(line).slice(0, 20))
  }
  expect(listenersOf(text)[0]!.terminateKey).toMatch(/^[0-9a-f]{64}$/)
})
