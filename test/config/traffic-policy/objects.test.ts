import { expect, test } from "bun:test"
import { authority } from "../../helper/certificates.ts"
import { Folder, leadsTo } from "./folder.ts"

const FROM = { from: "10.0.0.1", to: "tcp://:5432" } as const

function object(kind: string, name: string, spec: string, more = ""): string {
  const group = kind === "IPPolicy" ? "ingress.k8s.ngrok.com" : "ngrok.k8s.ngrok.com"
  return `---\napiVersion: ${group}/v1alpha1\nkind: ${kind}\nmetadata: {name: ${name}${more}}\nspec: ${spec}\n`
}

const DENY = "{on_tcp_connect: [{actions: [{type: deny}]}]}"

const restricted = (name: string) =>
  `{url: 'tcp://:5432', upstream: {url: '1'}, trafficPolicy: {inline: {on_tcp_connect: [{actions: [{type: restrict-ips, config: {ip_policies: [${name}]}}]}]}}}`

const secret = (name: string, { cert, key }: { cert: string; key: string }) =>
  `---\n${JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name }, type: "kubernetes.io/tls", stringData: { "tls.crt": cert, "tls.key": key } })}\n`

const leading = (text: string) =>
  new Folder({
    "a.yaml": object("AgentEndpoint", "a", "{url: 'tcp://:1', upstream: {url: 'tcp://db.default:5432'}}"),
    "b.yaml": text,
  })

test("an AgentEndpoint serves, and its conditions say so", async () => {
  const folder = new Folder({
    "a.yaml": object(
      "AgentEndpoint",
      "db",
      "{url: 'tcp://1.tcp.ngrok.io:5432', upstream: {url: 'tcp://db:5432', proxyProtocolVersion: '1'}}",
      ", generation: 3",
    ),
  })
  expect(folder.problems).toEqual([])
  expect(folder.listens).toEqual({ "AgentEndpoint default/db": ["tcp://:5432"] })
  expect(await folder.ask("AgentEndpoint default/db", FROM)).toMatchObject({
    targets: [{ url: "tcp://db:5432" }],
    proxyProtocol: 1,
  })
  expect(folder.said("AgentEndpoint", "db")).toEqual({
    EndpointCreated: "True EndpointCreated",
    DomainReady: "True DomainReady",
    Ready: "True EndpointActive",
  })
  expect(folder.state("AgentEndpoint", "db")).toMatchObject({
    file: "a.yaml",
    generation: 3,
    status: {
      assignedURL: "tcp://1.tcp.ngrok.io:5432",
      attachedTrafficPolicy: "none",
      conditions: expect.arrayContaining([expect.objectContaining({ observedGeneration: 3 })]),
    },
  })
})

test("policies are inline or in a NgrokTrafficPolicy of the namespace", async () => {
  const folder = new Folder({
    "a.yaml":
      object("AgentEndpoint", "a", `{url: 'tcp://:1', upstream: {url: '1'}, trafficPolicy: {inline: ${DENY}}}`) +
      object(
        "AgentEndpoint",
        "b",
        "{url: 'tcp://:2', upstream: {url: '2'}, trafficPolicy: {targetRef: {name: guard}}}",
      ) +
      object("CloudEndpoint", "c", "{url: 'tcp://:3', trafficPolicyName: guard}") +
      object("CloudEndpoint", "d", `{url: 'tcp://:4', trafficPolicy: {policy: ${DENY}}}`),
    "b.yaml": object("NgrokTrafficPolicy", "guard", `{policy: ${DENY}}`),
  })
  expect(folder.problems).toEqual([])
  for (const name of [
    "AgentEndpoint default/a",
    "AgentEndpoint default/b",
    "CloudEndpoint default/c",
    "CloudEndpoint default/d",
  ])
    expect(await folder.ask(name, FROM)).toMatchObject({ action: "deny" })
  expect(folder.said("AgentEndpoint", "b")).toMatchObject({
    TrafficPolicyApplied: "True TrafficPolicyApplied",
    Ready: "True EndpointActive",
  })
  expect(folder.state("AgentEndpoint", "b").status).toMatchObject({ attachedTrafficPolicy: "guard" })
  expect(folder.said("CloudEndpoint", "c")).toEqual({
    CloudEndpointCreated: "True CloudEndpointCreated",
    TrafficPolicyApplied: "True TrafficPolicyApplied",
    DomainReady: "True DomainReady",
    Ready: "True CloudEndpointActive",
  })
  expect(folder.said("NgrokTrafficPolicy", "guard")).toEqual({
    Valid: "True TrafficPolicyValid",
    Ready: "True TrafficPolicyValid",
  })
  expect(folder.warnings.join("\n")).toMatch(/trafficPolicyName.*deprecated/)
})

test.each([
  [
    "a policy that is not there",
    object("AgentEndpoint", "a", "{url: 'tcp://:1', upstream: {url: '1'}, trafficPolicy: {targetRef: {name: gaurd}}}"),
    /there is no NgrokTrafficPolicy "gaurd" in the namespace default; did you mean "guard"\?/,
    { TrafficPolicyApplied: "False TrafficPolicyError", Ready: "False TrafficPolicyError" },
  ],
  [
    "a policy of another namespace",
    object("AgentEndpoint", "a", "{url: 'tcp://:1', upstream: {url: '1'}, trafficPolicy: {targetRef: {name: far}}}"),
    /there is one in away; it has to be in the namespace of the endpoint/,
    { TrafficPolicyApplied: "False TrafficPolicyError" },
  ],
  [
    "a phase of HTTP",
    object(
      "AgentEndpoint",
      "a",
      "{url: 'tcp://:1', upstream: {url: '1'}, trafficPolicy: {inline: {on_http_request: []}}}",
    ),
    /spec.trafficPolicy.inline.on_http_request: on_http_request never runs on a tcp:\/\/ endpoint.*ERR_NGROK_2230/,
    { TrafficPolicyApplied: "False TrafficPolicyError" },
  ],
  [
    "a URL without a port",
    object("AgentEndpoint", "a", "{url: 'tcp://db.ngrok.app', upstream: {url: '1'}}"),
    /spec.url: a tcp:\/\/ endpoint has a port.*ERR_NGROK_18003/,
    { EndpointCreated: "False ConfigurationError", Ready: "False ConfigurationError" },
  ],
  [
    "an upstream of HTTP",
    object("AgentEndpoint", "a", "{url: 'tcp://:1', upstream: {url: 'http://db:80'}}"),
    /spec.upstream.url: http:\/\/ is not for bytes/,
    { EndpointCreated: "False ConfigurationError" },
  ],
  [
    "a certificate that is not there",
    object(
      "AgentEndpoint",
      "a",
      "{url: 'tls://a.b', upstream: {url: '1'}, tlsTermination: {serverCertificateRef: {name: cert}}}",
    ),
    /serverCertificateRef: there is no Secret default\/cert/,
    { EndpointCreated: "False ConfigurationError" },
  ],
  [
    "a port that the Service does not have",
    object("AgentEndpoint", "a", "{url: 'tcp://:1', upstream: {url: 'tcp://db.default:1'}}"),
    /Service default\/db has no TCP port 1; it has 5432/,
    { EndpointCreated: "False UpstreamError", Ready: "False UpstreamError" },
  ],
  [
    "an IP policy that is not there",
    object(
      "AgentEndpoint",
      "a",
      "{url: 'tcp://:1', upstream: {url: '1'}, trafficPolicy: {inline: {on_tcp_connect: [{actions: [{type: restrict-ips, config: {ip_policies: [ofice]}}]}]}}}",
    ),
    /no IPPolicy "ofice" here; did you mean "office"\? \(ERR_NGROK_2216\)/,
    { TrafficPolicyApplied: "False TrafficPolicyError" },
  ],
])("%s keeps an endpoint from serving, and no other one", (_, text, problem, said) => {
  const folder = new Folder({
    "a.yaml": text + object("AgentEndpoint", "good", "{url: 'tcp://:9', upstream: {url: '9'}}"),
    "b.yaml":
      object("NgrokTrafficPolicy", "guard", `{policy: ${DENY}}`) +
      object("NgrokTrafficPolicy", "far", `{policy: ${DENY}}`, ", namespace: away") +
      object("IPPolicy", "office", "{rules: [{cidr: 10.0.0.0/8, action: allow}]}") +
      "---\napiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {ports: [{port: 5432}]}\n",
  })
  expect(folder.problems.join("\n")).toMatch(problem)
  expect(folder.problems).toHaveLength(1)
  expect(folder.said("AgentEndpoint", "a")).toMatchObject(said)
  expect(folder.said("AgentEndpoint", "good")).toMatchObject({ Ready: "True EndpointActive" })
  expect(Object.keys(folder.listens)).toEqual(["AgentEndpoint default/good"])
})

test.each([
  ["{url: 'tcp://:1'}", /a cloud endpoint has no upstream.*ERR_NGROK_2235/],
  [
    "{url: 'tcp://:1', trafficPolicy: {inline: {on_tcp_connect: [{expressions: ['true'], actions: [{type: log, config: {metadata: {}}}]}]}}}",
    /ERR_NGROK_2235/,
  ],
])("a CloudEndpoint whose policy may not decide does not serve: %s", (spec, problem) => {
  const folder = new Folder({ "a.yaml": object("CloudEndpoint", "a", spec) })
  expect(folder.problems.join("\n")).toMatch(problem)
  expect(folder.rules).toEqual([])
  expect(folder.said("CloudEndpoint", "a")).toMatchObject({
    CloudEndpointCreated: "False Pending",
    TrafficPolicyApplied: "False TrafficPolicyError",
    Ready: "False TrafficPolicyError",
  })
})

test("endpoints of http are told so, and disturb nothing", () => {
  const folder = new Folder({
    "a.yaml": object("AgentEndpoint", "web", "{url: 'https://a.ngrok.app', upstream: {url: 'http://web:80'}}"),
  })
  expect(folder.problems).toEqual([])
  expect(folder.warnings.join()).toMatch(/not served here/)
  expect(folder.said("AgentEndpoint", "web")).toMatchObject({ Ready: "False UnsupportedProtocol" })
})

test("operators' endpoints of one URL are a pool", async () => {
  const folder = new Folder({
    "a.yaml":
      object("AgentEndpoint", "one", "{url: 'tcp://db.internal:1', upstream: {url: '1'}}") +
      object("AgentEndpoint", "two", "{url: 'tcp://db.internal:1', upstream: {url: '2'}}") +
      object(
        "CloudEndpoint",
        "edge",
        "{url: 'tcp://:5432', trafficPolicy: {inline: {on_tcp_connect: [{actions: [{type: forward-internal, config: {url: 'tcp://db.internal:1'}}]}]}}}",
      ),
  })
  expect(folder.problems).toEqual([])
  const said: unknown[] = []
  for (let i = 0; i < 4; i++) said.push(leadsTo(await folder.ask("CloudEndpoint default/edge", FROM)))
  expect(said).toEqual(["tcp://localhost:1", "tcp://localhost:2", "tcp://localhost:1", "tcp://localhost:2"])
})

test("a URL that is somebody else's is a conflict that the object tells of", () => {
  const folder = new Folder({
    "a.yaml":
      object("AgentEndpoint", "one", "{url: 'tcp://:1', upstream: {url: '1'}}") +
      object("CloudEndpoint", "two", `{url: 'tcp://:1', poolingEnabled: false, trafficPolicy: {inline: ${DENY}}}`),
  })
  expect(folder.problems.join()).toMatch(
    /tcp:\/\/:1 is the URL of AgentEndpoint default\/one already \(ERR_NGROK_18017\)/,
  )
  expect(folder.said("CloudEndpoint", "two")).toMatchObject({
    CloudEndpointCreated: "False EndpointConflict",
    Ready: "False EndpointConflict",
  })
})

test("IP policies are named with and without their namespace, and their ranges are checked", async () => {
  const office = object(
    "IPPolicy",
    "office",
    "{rules: [{cidr: 10.0.0.0/8, action: allow}, {cidr: 10.1.0.0/16, action: deny}]}",
  )
  for (const name of ["office", "default/office"]) {
    const folder = new Folder({ "a.yaml": object("AgentEndpoint", "a", restricted(name)), "b.yaml": office })
    const ask = async (from: string) => (await folder.ask("AgentEndpoint default/a", { ...FROM, from })).action
    expect([await ask("10.0.0.1"), await ask("10.1.0.1"), await ask("192.0.2.1")]).toEqual(["route", "deny", "deny"])
    expect(folder.said("IPPolicy", "office")).toEqual({
      IPPolicyCreated: "True IPPolicyCreated",
      RulesConfigured: "True IPPolicyRulesConfigured",
      Ready: "True IPPolicyActive",
    })
  }
  const bad = new Folder({
    "a.yaml": object("AgentEndpoint", "a", restricted("office")),
    "b.yaml": object("IPPolicy", "office", "{rules: [{cidr: 10.0.0.1/8, action: allow}]}"),
  })
  expect(bad.problems.join("\n")).toMatch(/did you mean "10.0.0.0\/8"\? \(ERR_NGROK_1409\)/)
  expect(bad.said("IPPolicy", "office")).toMatchObject({ RulesConfigured: "False IPPolicyInvalidCIDR" })
  expect(bad.rules).toEqual([])
})

test("agents name IP policies too, and the key follows their rules", () => {
  const agent =
    "version: 3\nendpoints: [{name: a, url: 'tcp://:1', upstream: {url: 1}, traffic_policy: {on_tcp_connect: [{actions: [{type: restrict-ips, config: {ip_policies: [office]}}]}]}}]"
  const key = (cidr: string) =>
    new Folder({
      "ngrok.yml": agent,
      "b.yaml": object("IPPolicy", "office", `{rules: [{cidr: ${cidr}, action: allow}]}`, ", namespace: x"),
    }).parts.get("ngrok.yml")?.key
  expect(key("10.0.0.0/8")).toBe(key("10.0.0.0/8")!)
  expect(key("10.0.0.0/8")).not.toBe(key("10.0.0.0/9"))
})

const SERVICE = "---\napiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {ports: [{name: pg, port: 5432}]}\n"

function slice(...addresses: readonly string[]): string {
  const endpoints = addresses.map((address) => `{addresses: [${address}]}`).join(", ")
  return `---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: db-1, labels: {kubernetes.io/service-name: db}}\naddressType: IPv4\nports: [{name: pg, port: 15432}]\nendpoints: [${endpoints}]\n`
}

test("an upstream that is a Service of the folder leads to its endpoints", async () => {
  for (const host of ["db.default", "db.default.svc", "db.default.svc.cluster.local"]) {
    const folder = new Folder({
      "a.yaml": object("AgentEndpoint", "a", `{url: 'tcp://:1', upstream: {url: 'tcp://${host}:5432'}}`),
      "b.yaml": SERVICE + slice("192.0.2.7", "192.0.2.8"),
    })
    expect(folder.problems).toEqual([])
    expect(leadsTo(await folder.ask("AgentEndpoint default/a", FROM))).toBe("default/db:5432")
    expect(
      folder
        .contents("a.yaml")
        .pools.get("default/db:5432")
        ?.targets.map(({ url }) => url),
    ).toEqual(["tcp://192.0.2.7:15432", "tcp://192.0.2.8:15432"])
  }
})

test("what a Service leads to is in the key, and what it does not lead to is said", () => {
  const key = (text: string) => leading(text).parts.get("a.yaml")?.key
  expect(key(SERVICE + slice("192.0.2.7"))).not.toBe(key(SERVICE + slice("192.0.2.8")))
  expect(leading(SERVICE + slice()).message("EndpointCreated", "AgentEndpoint", "a")).toMatch(/has no ready endpoint/)
})

test("a tls:// upstream that is a Service is verified by the name that was written", () => {
  const folder = new Folder({
    "a.yaml": object("AgentEndpoint", "a", "{url: 'tcp://:1', upstream: {url: 'tls://db.default:5432'}}"),
    "b.yaml": SERVICE + slice("192.0.2.7"),
  })
  const [pool] = folder.contents("a.yaml").pools.values()
  expect(pool).toMatchObject({ tls: { sni: "db.default" }, targets: [{ url: "tls://192.0.2.7:15432" }] })
})

test("certificates of Secrets end TLS, ask clients for theirs, and are shown to targets", () => {
  const ca = authority()
  const server = ca.issue({ names: ["db.example.com"] })
  const client = ca.issue({ names: ["gateway"], usage: "client" })
  const authorities = `---\n${JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "ca" }, data: { "ca.crt": ca.cert } })}\n`
  const folder = new Folder({
    "a.yaml": object(
      "AgentEndpoint",
      "a",
      "{url: 'tls://db.example.com', upstream: {url: 'tls://db:5432'}, clientCertificateRefs: [{name: own}], tlsTermination: {serverCertificateRef: {name: cert}, mutualTLS: {clientCAsRef: {name: ca}}}}",
    ),
    "b.yaml": secret("cert", server) + secret("own", client) + authorities,
  })
  expect(folder.problems).toEqual([])
  expect(folder.rules).toHaveLength(1)
  expect(JSON.stringify(folder.objects)).not.toContain("PRIVATE KEY")
  const without = new Folder({
    "a.yaml": object(
      "AgentEndpoint",
      "a",
      "{url: 'tls://a.b', upstream: {url: '1'}, tlsTermination: {serverCertificateRef: {name: cert}}}",
    ),
    "b.yaml":
      "---\napiVersion: v1\nkind: Secret\nmetadata: {name: cert}\ntype: kubernetes.io/tls\nstringData: {tls.crt: QUJDREVG, tls.key: QUJDREVG}\n",
  })
  expect(without.problems).toHaveLength(1)
  expect(without.problems.join()).not.toContain("QUJDREVG")
})

test("the private keys of a policy are in no status", () => {
  const key = "-----BEGIN PRIVATE KEY-----QUJDREVG-----END PRIVATE KEY-----"
  const folder = new Folder({
    "a.yaml": object(
      "AgentEndpoint",
      "a",
      `{url: 'tls://a.b', upstream: {url: '1'}, trafficPolicy: {inline: {on_tcp_connect: [{actions: [{type: terminate-tls, config: {server_private_key: '${key}', server_certificate: x}}]}]}}}`,
    ),
  })
  expect(JSON.stringify(folder.objects)).not.toContain("QUJDREVG")
  expect(folder.problems.join()).not.toContain("QUJDREVG")
})

test("annotations with the prefix of the guide are told", () => {
  const folder = new Folder({
    "a.yaml": object(
      "AgentEndpoint",
      "a",
      "{url: 'tcp://:1', upstream: {url: '1'}}",
      ", annotations: {k8s.ngrok.com/team: x}",
    ),
  })
  expect(folder.warnings.join()).toMatch(/write "ngrok.com\/team"/)
})

test("a NgrokTrafficPolicy that is wrong is told once", () => {
  const folder = new Folder({
    "a.yaml":
      object("NgrokTrafficPolicy", "p", "{policy: {on_tcp_connect: [{actions: [{type: denny}]}]}}") +
      object("AgentEndpoint", "a", "{url: 'tcp://:1', upstream: {url: '1'}, trafficPolicy: {targetRef: {name: p}}}") +
      object("AgentEndpoint", "b", "{url: 'tcp://:2', upstream: {url: '1'}, trafficPolicy: {targetRef: {name: p}}}"),
  })
  expect(folder.problems).toHaveLength(1)
  expect(folder.problems.join()).toMatch(/did you mean "deny"/)
  expect(folder.said("NgrokTrafficPolicy", "p")).toEqual({
    Valid: "False TrafficPolicyParseFailed",
    Ready: "False TrafficPolicyParseFailed",
  })
  expect(folder.said("AgentEndpoint", "b")).toMatchObject({ Ready: "False TrafficPolicyError" })
})

test("a NgrokTrafficPolicy of an http endpoint is right, and said not to run here", () => {
  const web =
    "{policy: {on_http_request: [{actions: [{type: custom-response}]}], on_tcp_connect: [{actions: [{type: deny}]}]}}"
  const folder = new Folder({
    "a.yaml":
      object("NgrokTrafficPolicy", "web", web) +
      object("CloudEndpoint", "web", "{url: 'https://a.ngrok.app', trafficPolicy: {targetRef: {name: web}}}"),
  })
  expect(folder.problems).toEqual([])
  expect(folder.warnings.join()).toMatch(/on_http_request is for http:\/\/ endpoints, which are not served here/)
  expect(folder.said("NgrokTrafficPolicy", "web")).toEqual({
    Valid: "True TrafficPolicyValid",
    Ready: "True TrafficPolicyValid",
  })
})
