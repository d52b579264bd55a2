// What routes lead to: Services by their slices, Endpoints or names, what may not be referred to, and how it is shared out.
import { describe, expect, test } from "bun:test"
import { gateway } from "./compiled.ts"
import { CLASS, route, service, Traffic } from "./traffic.ts"

const EDGE = gateway("edge", ["{ name: tcp, port: 9000, protocol: TCP }"])
const refs = (...all: readonly string[]) =>
  route("TCPRoute", "db", `parentRefs: [{ name: edge }]\nrules: [{ backendRefs: [${all.join(", ")}] }]`)
const DB = refs("{ name: db, port: 5432 }")
const POOL = "default/db:5432"

/** A Service with this spec and slices with these bodies. */
function withSlices(spec: string, ...slices: readonly string[]): string {
  return [
    `apiVersion: v1\nkind: Service\nmetadata: { name: db }\nspec: ${spec}\n`,
    ...slices.map(
      (body, i) =>
        `apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: { name: db-${i}, labels: { kubernetes.io/service-name: db } }\n${body}\n`,
    ),
    "",
  ].join("---\n")
}

const ONE = "{ ports: [{ port: 5432 }] }"
const slice = (endpoints: string, ports = "[{ port: 5432 }]", type = "IPv4") =>
  `addressType: ${type}\nendpoints: ${endpoints}\nports: ${ports}`

async function told(spec: string, ...slices: readonly string[]) {
  const traffic = new Traffic(EDGE + DB + withSlices(spec, ...slices))
  const goes = await traffic.goes(9000)
  return { goes, targets: goes === POOL ? traffic.targets(POOL) : undefined, traffic }
}

describe("a Service leads to", () => {
  test("the ready endpoints of all its slices, each once, of every kind of address", async () => {
    const found = await told(
      ONE,
      slice("[{ addresses: [10.0.0.1] }, { addresses: [10.0.0.2], conditions: { ready: true } }]"),
      slice("[{ addresses: [10.0.0.2] }, { addresses: [10.0.0.3], conditions: { ready: false } }]"),
      slice("[{ addresses: ['2001:DB8::1'] }]", "[{ port: 5432 }]", "IPv6"),
      slice("[{ addresses: [DB.example.com] }]", "[{ port: 6432 }]", "FQDN"),
    )
    expect(found.targets).toEqual([
      "tcp://10.0.0.1:5432",
      "tcp://10.0.0.2:5432",
      "tcp://[2001:db8::1]:5432",
      "dns://db.example.com:6432",
    ])
  })

  test("those that serve while they are shut down, when none is ready", async () => {
    const leaving = "{ addresses: [10.0.0.1], conditions: { ready: false, serving: true, terminating: true } }"
    const gone = "{ addresses: [10.0.0.2], conditions: { ready: false, serving: false, terminating: true } }"
    const starting = "{ addresses: [10.0.0.3], conditions: { ready: false, serving: true } }"
    expect((await told(ONE, slice(`[${leaving}, ${gone}, ${starting}]`))).targets).toEqual(["tcp://10.0.0.1:5432"])
    const all = await told(ONE, slice(`[${leaving}, { addresses: [10.0.0.4] }]`))
    expect(all.targets).toEqual(["tcp://10.0.0.4:5432"])
  })

  test("the port of the slice that has the name of the Service's, whatever its number", async () => {
    const spec = "{ ports: [{ name: sql, port: 5432, targetPort: pg }, { name: web, port: 80 }] }"
    const found = await told(
      spec,
      slice("[{ addresses: [10.0.0.1] }]", "[{ name: web, port: 8080 }, { name: sql, port: 15432 }]"),
    )
    expect(found.targets).toEqual(["tcp://10.0.0.1:15432"])
  })

  test("its own target port, where the slice's has no number", async () => {
    const found = await told(
      "{ ports: [{ port: 5432, targetPort: 6000 }] }",
      slice("[{ addresses: [10.0.0.1] }]", "[{}]"),
    )
    expect(found.targets).toEqual(["tcp://10.0.0.1:6000"])
  })

  test("nobody, where no slice has its port, or none is ready: the status says so, and clients are refused", async () => {
    const other = await told(ONE, slice("[{ addresses: [10.0.0.1] }]", "[{ name: sql, port: 5432 }]"))
    expect(other.goes).toBe(
      'refused: no EndpointSlice of Service default/db:5432 has a TCP port without a name; they have "sql"',
    )
    const none = await told(ONE, slice("[{ addresses: [10.0.0.1], conditions: { ready: false } }]"))
    expect(none.goes).toBe("refused: Service default/db:5432 has no ready endpoint of 1")
    expect(none.traffic.said("TCPRoute", "db")["ResolvedRefs"]).toBe("True ResolvedRefs")
    expect(none.traffic.message("ResolvedRefs", "TCPRoute", "db")).toContain("has no ready endpoint of 1")
    const decision = (await none.traffic.asked(9000))!.outcome
    expect(decision).toMatchObject({ kind: "decision", decision: { action: "deny", reset: true } })
  })

  test("its Endpoints, where it has no slice", async () => {
    const endpoints = `apiVersion: v1
kind: Endpoints
metadata: { name: db }
subsets:
- { addresses: [{ ip: 10.0.0.1 }], notReadyAddresses: [{ ip: 10.0.0.9 }], ports: [{ port: 5432 }] }
- { addresses: [{ ip: 10.0.0.2 }], ports: [{ port: 5433 }] }
---
`
    const traffic = new Traffic(EDGE + DB + withSlices(ONE) + endpoints)
    await traffic.goes(9000)
    expect(traffic.targets(POOL)).toEqual(["tcp://10.0.0.1:5432", "tcp://10.0.0.2:5433"])
  })

  test("its names, where it has neither: the best first, each with what follows the DNS", async () => {
    const names = ["dns://db.default.svc.cluster.local:5432", "dns://db:5432 1"]
    expect((await told(ONE)).targets).toEqual(names)
    // A name of a headless one is that of its pods.
    const headless = await told("{ clusterIP: None, ports: [{ port: 5432, targetPort: 6000 }] }")
    expect(headless.targets).toEqual(names.map((name) => name.replace("5432", "6000")))
    const cluster = await told("{ ports: [{ port: 5432, targetPort: 6000 }] }")
    expect(cluster.targets).toEqual(names)
  })
})

const grant = (from: string, to: string) => `apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: { name: g, namespace: far }
spec:
  from: [{ group: gateway.networking.k8s.io, ${from} }]
  to: [{ ${to} }]
---
`

describe("a reference is bad", () => {
  const sql = service("db", 5432, ["10.0.0.1"])
  test.each([
    ["{ name: db, port: 5432, kind: ServiceImport, group: multicluster.x-k8s.io }", "InvalidKind", "is no Service"],
    ["{ name: db, port: 5432, kind: Pod }", "InvalidKind", "Pod db is no Service"],
    ["{ name: bd, port: 5432 }", "BackendNotFound", 'There is no Service default/bd; did you mean "db"?'],
    ["{ name: db, port: 5433 }", "BackendNotFound", "Service default/db has no port 5433; it has 5432"],
    ["{ name: db }", "BackendNotFound", "A reference to Service default/db needs a port: it has 5432"],
    ["{ name: dns, port: 53 }", "UnsupportedProtocol", "The port 53 of Service default/dns is for UDP"],
    [
      "{ name: out, port: 5432 }",
      "InvalidKind",
      "an EndpointSlice of it with `addressType: FQDN` and the address db.test",
    ],
    ["{ name: db, port: 5432, namespace: far }", "RefNotPermitted", "no ReferenceGrant lets a TCPRoute of default"],
  ])("%s: %s", async (ref, reason, message) => {
    const more = `apiVersion: v1
kind: Service
metadata: { name: dns }
spec: { ports: [{ port: 53, protocol: UDP }] }
---
apiVersion: v1
kind: Service
metadata: { name: out }
spec: { type: ExternalName, externalName: db.test, ports: [{ port: 5432 }] }
---
`
    const traffic = new Traffic(EDGE + refs(ref) + sql + more + service("db", 5432, ["10.0.0.1"], "far"))
    expect(traffic.said("TCPRoute", "db")).toEqual({ Accepted: "True Accepted", ResolvedRefs: `False ${reason}` })
    expect(traffic.message("ResolvedRefs", "TCPRoute", "db")).toContain(message)
    expect(await traffic.goes(9000)).toContain(`refused: `)
    expect(traffic.warnings()[0]).toContain(`spec.rules[0].backendRefs[0]: `)
    expect(traffic.pools()).toEqual([])
  })

  test("a port that is for UDP and for TCP is for TCP", async () => {
    const both = "{ ports: [{ name: u, port: 5432, protocol: UDP }, { name: t, port: 5432 }] }"
    expect((await told(both, slice("[{ addresses: [10.0.0.1] }]", "[{ name: t, port: 5432 }]"))).goes).toBe(POOL)
  })

  test("the first reason counts, and the message lists all", () => {
    const traffic = new Traffic(
      EDGE + refs("{ name: db, port: 5432 }", "{ name: x, port: 1, kind: Pod }", "{ name: y, port: 1 }") + sql,
    )
    expect(traffic.said("TCPRoute", "db")["ResolvedRefs"]).toBe("False InvalidKind")
    expect(traffic.message("ResolvedRefs", "TCPRoute", "db")).toContain("There is no Service default/y")
  })

  test("a grant of the other namespace lets it through, and only what it names", async () => {
    const far = service("db", 5432, ["10.0.0.1"], "far")
    const through = async (from: string, to: string) =>
      new Traffic(EDGE + refs("{ name: db, port: 5432, namespace: far }") + far + grant(from, to)).goes(9000)
    expect(await through("kind: TCPRoute, namespace: default", "group: '', kind: Service")).toBe("far/db:5432")
    expect(await through("kind: TCPRoute, namespace: default", "group: '', kind: Service, name: db")).toBe(
      "far/db:5432",
    )
    for (const [from, to] of [
      ["kind: TLSRoute, namespace: default", "group: '', kind: Service"],
      ["kind: TCPRoute, namespace: other", "group: '', kind: Service"],
      ["kind: TCPRoute, namespace: default", "group: '', kind: Service, name: other"],
      ["kind: TCPRoute, namespace: default", "group: '', kind: Secret"],
    ] as const)
      expect(await through(from, to)).toStartWith("refused: Service far/db is in another namespace")
  })
})

describe("weights", () => {
  const services = ["a", "b", "c"].map((name, i) => service(name, 80, [`10.0.0.${i + 1}`])).join("")

  async function shares(connections: number, ...all: readonly string[]): Promise<Record<string, number>> {
    const traffic = new Traffic(EDGE + refs(...all) + services)
    const counts: Record<string, number> = {}
    for (let i = 0; i < connections; i++) {
      const found = (await traffic.goes(9000)).replace(/^(default\/.):80$/, "$1").replace(/^(refused).*/, "$1")
      counts[found] = (counts[found] ?? 0) + 1
    }
    return counts
  }

  test("are exact: 70, 30 and 0", async () => {
    const weighted = [
      "{ name: a, port: 80, weight: 70 }",
      "{ name: b, port: 80, weight: 30 }",
      "{ name: c, port: 80, weight: 0 }",
    ]
    expect(await shares(500, ...weighted)).toEqual({ "default/a": 350, "default/b": 150 })
  })

  test("are 1 where none is written", async () => {
    expect(await shares(90, "{ name: a, port: 80 }", "{ name: b, port: 80, weight: 2 }")).toEqual({
      "default/a": 30,
      "default/b": 60,
    })
  })

  test("that are all 0 refuse everybody", async () => {
    expect(await shares(3, "{ name: a, port: 80, weight: 0 }", "{ name: b, port: 80, weight: 0 }")).toEqual({
      refused: 3,
    })
  })

  test("of a backend that is bad, or has nobody, are refused and not shifted", async () => {
    const missing = await shares(100, "{ name: a, port: 80, weight: 20 }", "{ name: none, port: 80, weight: 80 }")
    expect(missing).toEqual({ "default/a": 20, refused: 80 })
    const traffic = new Traffic(
      EDGE + refs("{ name: a, port: 80 }", "{ name: empty, port: 80 }") + services + service("empty", 80, []),
    )
    expect([await traffic.goes(9000), await traffic.goes(9000)].toSorted()).toEqual([
      "default/a:80",
      "refused: Service default/empty:80 has no ready endpoint",
    ])
  })

  test("of one backend make no difference: what is decided is decided once, and can be checked before", async () => {
    const traffic = new Traffic(
      EDGE + refs("{ name: a, port: 80, weight: 5 }", "{ name: b, port: 80, weight: 0 }") + services,
    )
    const rule = traffic.contents.get("objects.yaml")!.rules.find(({ title }) => title === "TCPRoute default/db")!
    const answer = rule.connect(undefined as never, undefined)
    expect(answer).toBe(rule.route)
    expect(rule.connect(undefined as never, undefined)).toBe(answer)
  })
})

const fourFiles = (endpoints: string, more = "") => ({
  "gateway.yaml": CLASS + EDGE,
  "route.yaml": DB,
  "other.yaml": refs("{ name: other, port: 80 }").replace("name: db", "name: zzz"),
  "service.yaml": service("db", 5432, [endpoints]) + service("other", 80, ["10.9.9.9"]) + more,
})

const keysOf = (all: Readonly<Record<string, string>>) => {
  const { parts } = new Traffic(all).compiled
  return Object.fromEntries([...parts].map(([file, { key }]) => [file, key]))
}

const allowing = (cidr: string) => `apiVersion: tidegate.dev/v1alpha1
kind: TidegatePolicy
metadata: { name: office }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: edge }]
  clients: { allow: [${cidr}] }
---
`

describe("the key of a file", () => {
  test("is the same for the same, and another one when its endpoints change, and only then", () => {
    const before = keysOf(fourFiles("10.0.0.1"))
    expect(keysOf(fourFiles("10.0.0.1"))).toEqual(before)
    const after = keysOf(fourFiles("10.0.0.2"))
    expect(after["route.yaml"]).not.toBe(before["route.yaml"])
    expect(after["other.yaml"]).toBe(before["other.yaml"])
    expect(after["gateway.yaml"]).toBe(before["gateway.yaml"])
  })

  test("changes with the listener, and when another route takes the traffic", () => {
    const before = keysOf(fourFiles("10.0.0.1"))
    const moved = keysOf({ ...fourFiles("10.0.0.1"), "gateway.yaml": CLASS + EDGE.replace("9000", "9001") })
    expect(moved["route.yaml"]).not.toBe(before["route.yaml"])
    const older = DB.replace("name: db }", 'name: aaa, creationTimestamp: "2020-01-01T00:00:00Z" }')
    const taken = keysOf({ ...fourFiles("10.0.0.1"), "older.yaml": older })
    expect(taken["route.yaml"]).not.toBe(before["route.yaml"])
  })

  test("changes with a policy of its Gateway", () => {
    const before = keysOf({ ...fourFiles("10.0.0.1"), "policy.yaml": allowing("10.0.0.0/8") })
    const after = keysOf({ ...fourFiles("10.0.0.1"), "policy.yaml": allowing("10.0.0.0/9") })
    expect(after["route.yaml"]).not.toBe(before["route.yaml"])
  })
})

const annotated = (...all: readonly string[]) =>
  service("db", 5432, ["10.0.0.1"]).replace(
    "metadata: { name: db, namespace: default }",
    `metadata: { name: db, namespace: default, annotations: { ${all.join(", ")} } }`,
  )

describe("annotations of a Service", () => {
  test("are options of its pool", async () => {
    const traffic = new Traffic(
      EDGE +
        DB +
        annotated(
          "tidegate.dev/balance: least-connections",
          "tidegate.dev/connect-timeout: 2s",
          'tidegate.dev/retries: "1"',
          'tidegate.dev/proxy-protocol: "2"',
          "tidegate.dev/health: postgres",
        ),
    )
    expect(await traffic.goes(9000)).toBe(POOL)
    expect(traffic.pool(POOL)).toMatchObject({
      balance: "least-connections",
      connectTimeout: 2000,
      retries: 1,
      proxyProtocol: 2,
      health: { check: { postgres: {} } },
    })
    expect(traffic.warnings()).toEqual([])
  })

  test("give way to a TidegatePolicy, option by option", () => {
    const policy = `apiVersion: tidegate.dev/v1alpha1
kind: TidegatePolicy
metadata: { name: fast }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: edge }]
  upstream: { connectTimeout: 1s }
---
`
    const own = annotated("tidegate.dev/connect-timeout: 2s", 'tidegate.dev/retries: "3"')
    const traffic = new Traffic(EDGE + DB + own + policy)
    expect(traffic.pool(`${POOL} (TidegatePolicy default/fast)`)).toMatchObject({ connectTimeout: 1000, retries: 3 })
  })

  test("that are wrong are warnings, and the others are carried out", async () => {
    const wrong = ["tidegate.dev/balence: hash", "tidegate.dev/retries: many", 'tidegate.dev/max-connections: "5"']
    const traffic = new Traffic(EDGE + DB + annotated(...wrong, "example.com/other: x"))
    expect(await traffic.goes(9000)).toBe(POOL)
    expect(traffic.pool(POOL).targets[0]!.maxConnections).toBe(5)
    expect(traffic.pool(POOL).retries).toBeUndefined()
    expect(traffic.warnings()).toEqual([
      'metadata.annotations: tidegate.dev/balence: there is no such annotation of a Service; did you mean "balance"?',
      expect.stringContaining("tidegate.dev/retries"),
    ])
  })

  test("of Kong are carried out as well: times, and TLS with authorities or without", async () => {
    const times = ['konghq.com/connect-timeout: "1500"', 'konghq.com/retries: "2"']
    const plain = new Traffic(EDGE + DB + annotated(...times))
    await plain.goes(9000)
    expect(plain.pool(POOL)).toMatchObject({ connectTimeout: 1500, retries: 2 })
    const tls = ["konghq.com/protocol: tls", 'konghq.com/tls-verify: "false"']
    const encrypted = new Traffic(EDGE + DB + annotated(...tls))
    expect(await encrypted.goes(9000)).toBe(`${POOL} (tls)`)
    expect(encrypted.pool(`${POOL} (tls)`).tls).toEqual({ insecureSkipVerify: true })
    const missing = new Traffic(
      EDGE + DB + annotated("konghq.com/protocol: tls", "konghq.com/ca-certificates-secrets: none"),
    )
    expect(await missing.goes(9000)).toStartWith("refused: Service default/db: there is no Secret default/none")
  })
})
