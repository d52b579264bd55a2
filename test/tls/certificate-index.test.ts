// Which certificate answers to which name.
import { expect, test } from "bun:test"
import { CertificateIndex } from "../../src/tls/certificate-index.ts"
import type { Identity } from "../../src/tls/identity.ts"
import { vectors } from "../protocol/vectors.ts"
import { DAY, identity } from "./identities.ts"

const NOW = 10 * DAY

function index(...identities: Identity[]): (name?: string, address?: string, now?: number) => string[] {
  const index = new CertificateIndex(identities, ({ file }) => file.startsWith("default"))
  return (name, address, now = NOW) => index.choose(name, address, now).map(({ file }) => file)
}

test("an exact name comes before a wildcard, whatever their order and case", () => {
  const choose = index(
    identity("wild", { names: ["*.a.example", "*.deep.a.example"] }),
    identity("exact", { names: ["x.a.example"] }),
    identity("upper", { names: ["*.x.a.example"] }),
  )
  expect(choose("x.a.example")).toEqual(["exact"])
  expect(choose("X.A.Example.")).toEqual(["exact"])
  expect(choose("y.a.example")).toEqual(["wild"])
  expect(choose("y.deep.a.example")).toEqual(["wild"])
  expect(choose("y.x.a.example")).toEqual(["upper"])
})

test("a wildcard spans one label: no more, no less, and no empty one", () => {
  const choose = index(identity("wild", { names: ["*.a.example"] }))
  expect(choose("x.a.example")).toEqual(["wild"])
  for (const name of ["a.example", "x.y.a.example", ".a.example", "xa.example", "*.*.a.example", "example", "x"]) {
    expect([name, choose(name)]).toEqual([name, []])
  }
})

test("for one name there is one certificate for each algorithm, the newest", () => {
  const names = ["a.example"]
  const choose = index(
    identity("old", { names, from: 1 }),
    identity("new", { names, from: 3 }),
    identity("newer rsa", { names, from: 2, until: 900 * DAY, algorithm: "rsa" }),
    identity("longest rsa", { names, from: 2, until: 901 * DAY, algorithm: "rsa" }),
    identity("exact rsa elsewhere", { names: ["b.example"], algorithm: "rsa" }),
    identity("wild", { names: ["*.example"] }),
  )
  expect(choose("a.example")).toEqual(["new", "longest rsa"])
  expect(choose("b.example")).toEqual(["exact rsa elsewhere"])
})

test("an expired certificate is the last resort, and still better than another name", () => {
  const choose = index(
    identity("expires first", { names: ["a.example"], from: 2, until: 11 * DAY }),
    identity("older", { names: ["a.example"], from: 1, until: 12 * DAY }),
    identity("rsa", { names: ["a.example"], until: 13 * DAY, algorithm: "rsa" }),
    identity("wild", { names: ["*.example"], until: 14 * DAY }),
    identity("another", { names: ["another.example"] }),
  )
  expect(choose("a.example")).toEqual(["expires first", "rsa"])
  expect(choose("a.example", undefined, 11 * DAY)).toEqual(["older", "rsa"])
  expect(choose("a.example", undefined, 12 * DAY)).toEqual(["rsa"])
  expect(choose("a.example", undefined, 13 * DAY)).toEqual(["wild"])
  expect(choose("a.example", undefined, 14 * DAY)).toEqual(["expires first", "rsa"])
  expect(choose("b.example", undefined, 14 * DAY)).toEqual(["wild"])
})

test("without a name the address decides, then the default, then the first file", () => {
  const address = identity("z", { names: ["z.example"], addresses: ["10.0.0.1", "2001:db8::1"] })
  const first = identity("a", { names: ["a.example"], until: 20 * DAY })
  const rest = [identity("b", { names: ["b.example"], until: 30 * DAY }), address]
  const choose = index(first, ...rest)
  expect(choose(undefined, "10.0.0.1")).toEqual(["z"])
  expect(choose("", "2001:db8::1")).toEqual(["z"])
  expect(choose("2001:DB8:0::1", "127.0.0.1")).toEqual(["z"])
  expect(choose("127.0.0.1", "10.0.0.1")).toEqual(["a"])
  expect(choose(undefined, "127.0.0.1")).toEqual(["a"])
  expect(choose()).toEqual(["a"])
  expect(choose(undefined, undefined, 20 * DAY)).toEqual(["b"])
  expect(choose(undefined, "10.0.0.1", 2000 * DAY)).toEqual(["z"])
  expect(choose(undefined, undefined, 2000 * DAY)).toEqual(["a"])
  const chooseDefault = index(first, identity("default rsa", { algorithm: "rsa" }), identity("default"), ...rest)
  expect(chooseDefault(undefined, "10.0.0.1")).toEqual(["z"])
  expect(chooseDefault(undefined, "127.0.0.1")).toEqual(["default rsa", "default"])
  expect(chooseDefault("c.example", "127.0.0.1")).toEqual([])
  expect(index()()).toEqual([])
})

test("an answer is the same list every time", () => {
  const identities = [identity("a", { names: ["a.example", "*.b.example"], addresses: ["::1"] })]
  const index = new CertificateIndex(identities, () => false)
  const ways = [["a.example"], ["x.b.example"], ["none.example"], [undefined, "::1"], [undefined, "::2"]] as const
  for (const [name, address] of ways) {
    expect(index.choose(name, address, NOW)).toBe(index.choose(name, address, NOW + 1))
  }
})

interface NameCase {
  readonly desc: string
  readonly rule?: string
  readonly server_name?: string
  readonly match: boolean
}

test("names match as in the cases of others", () => {
  const cases = vectors<{ cases: NameCase[] }>("name-and-address-matching.json")?.cases ?? []
  const names = cases.flatMap(({ rule = "", server_name, match, desc }) => {
    const host = /^HostSNI\(`([^`*]+)`\)$/.exec(rule)?.[1]
    return host === undefined || server_name === undefined ? [] : [{ host, server_name, match, desc }]
  })
  for (const { host, server_name, match, desc } of names) {
    const found = index(identity("it", { names: [host] }))(server_name)
    expect([desc, found]).toEqual([desc, match ? ["it"] : []])
  }
  if (cases.length > 0) expect(names.length).toBeGreaterThan(0)
})
