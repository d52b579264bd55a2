import { describe, expect, test } from "bun:test"
import { candidates, parseResolvConf, parseServer, type ResolverSettings } from "../../src/upstream/resolv-conf.ts"
import { random } from "../helper/random.ts"

const server = (address: string, port = 53) => ({ address, family: address.includes(":") ? "IPv6" : "IPv4", port })
const nothing = { servers: [server("127.0.0.1")], search: [], ndots: 1, timeout: 5000, attempts: 2 }

describe("resolv.conf", () => {
  test("of a Kubernetes pod", () => {
    const text = `search default.svc.cluster.local svc.cluster.local cluster.local
nameserver 10.96.0.10
options ndots:5
`
    expect(parseResolvConf(text, "pod-1")).toEqual({
      servers: [server("10.96.0.10")],
      search: ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"],
      ndots: 5,
      timeout: 5000,
      attempts: 2,
    } as ResolverSettings)
  })

  test("with everything in it, and what is none of our business", () => {
    const text = `# a comment
; another
domain Example.COM.
nameserver 127.0.0.53
  nameserver fe80::1%eth0
nameserver 2001:db8::53
nameserver 10.0.0.4
nameserver ns.example.com
options edns0 trust-ad timeout:1 attempts:3 rotate ndots:2
sortlist 130.155.160.0
`
    expect(parseResolvConf(text, "web-1.internal")).toEqual({
      servers: [server("127.0.0.53"), server("fe80::1%eth0"), server("2001:db8::53")],
      search: ["example.com"],
      ndots: 2,
      timeout: 1000,
      attempts: 3,
    } as ResolverSettings)
  })

  test("that says nothing means the server of this machine, and the domain of its name", () => {
    expect(parseResolvConf("", "web-1")).toEqual(nothing as ResolverSettings)
    expect(parseResolvConf("", "web-1.eu.example.com").search).toEqual(["eu.example.com"])
    expect(parseResolvConf("search .\n", "web-1.eu.example.com").search).toEqual([])
  })

  test("options have bounds", () => {
    const { attempts, ndots, timeout } = parseResolvConf("options timeout:0 attempts:0 ndots:99\n", "a")
    expect({ attempts, ndots, timeout }).toEqual({ attempts: 1, ndots: 15, timeout: 1000 })
    const most = parseResolvConf("options timeout:9999 attempts:77 ndots:-1\n", "a")
    expect([most.timeout, most.attempts, most.ndots]).toEqual([30_000, 5, 1])
    expect(parseResolvConf(`search ${"a ".repeat(100)}`, "a").search).toHaveLength(32)
  })

  test("of arbitrary text never throws", () => {
    const { text } = random(3)
    const words = ["nameserver", "search", "options", " ", "\n", "\t", "ndots:", "1", "10.0.0.1", "::", "%", ".", "#"]
    for (let round = 0; round < 3000; round++) {
      const { attempts, servers, timeout } = parseResolvConf(text(words, 40), "a.b")
      expect(servers.length).toBeGreaterThan(0)
      expect(attempts * timeout).toBeLessThanOrEqual(150_000)
    }
  })
})

test.each([
  ["10.0.0.53", server("10.0.0.53")],
  ["127.0.0.1:5353", server("127.0.0.1", 5353)],
  ["::1", server("::1")],
  ["[::1]:5353", server("::1", 5353)],
  ["[2001:db8::53]", server("2001:db8::53")],
  ["fe80::1%eth0", server("fe80::1%eth0")],
  ["127.0.0.1:0", undefined],
  ["127.0.0.1:65536", undefined],
  ["127.1", undefined],
  ["ns.example.com", undefined],
  ["10.0.0.1%eth0", undefined],
  ["", undefined],
])("the server %j", (text, expected) => {
  expect(parseServer(text)).toEqual(expected as ReturnType<typeof parseServer>)
})

function settings(ndots: number, ...search: string[]): ResolverSettings {
  return { ...nothing, ndots, search } as ResolverSettings
}

describe("the names to ask for", () => {
  test.each([
    ["db", settings(1, "a.test", "test"), ["db.a.test", "db.test", "db"]],
    ["db.a", settings(1, "a.test"), ["db.a", "db.a.a.test"]],
    ["db.a.svc", settings(5, "svc.test"), ["db.a.svc.svc.test", "db.a.svc"]],
    ["db", settings(1), ["db"]],
    ["db.", settings(1, "a.test"), ["db"]],
    ["_pg._tcp.db", settings(5, "a.test"), ["_pg._tcp.db.a.test", "_pg._tcp.db"]],
  ])("%s", (name, given, expected) => {
    expect(candidates(name, given)).toEqual(expected)
  })

  test("are no longer than names can be", () => {
    const long = `${"a".repeat(60)}.`.repeat(4)
    expect(candidates("db.x", settings(1, `${long}test`, "short.test"))).toEqual([
      "db.x",
      `db.x.${long}test`,
      "db.x.short.test",
    ])
    expect(candidates("db.x", settings(1, `${long}${"b".repeat(20)}`))).toEqual(["db.x"])
  })
})
