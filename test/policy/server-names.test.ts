import { describe, expect, spyOn, test } from "bun:test"
import { parseListen } from "../../src/policy/listen.ts"
import { ServerNames } from "../../src/policy/server-names.ts"
import { random } from "../helper/random.ts"
import { vectors } from "../protocol/vectors.ts"

function names(...patterns: (string | undefined)[]): ServerNames<string> {
  const found = new ServerNames<string>()
  for (const pattern of patterns) found.set(pattern, pattern ?? "any")
  return found
}

describe("the most specific pattern wins", () => {
  const all = names(undefined, "*.com", "*.example.com", "*.b.example.com", "example.com", "a.example.com")

  test.each([
    ["a.example.com", "a.example.com"],
    ["example.com", "example.com"],
    ["c.example.com", "*.example.com"],
    ["d.c.example.com", "*.example.com"],
    ["x.a.example.com", "*.example.com"],
    ["b.example.com", "*.example.com"],
    ["c.b.example.com", "*.b.example.com"],
    ["d.c.b.example.com", "*.b.example.com"],
    ["other.com", "*.com"],
    ["com", "any"],
    ["example.org", "any"],
    ["", "any"],
    [undefined, "any"],
  ])("%p is served by %s", (name, expected) => {
    expect(all.find(name)).toBe(expected)
  })

  test("a wildcard never matches the bare name, and not what only ends alike", () => {
    const one = names("*.example.com")
    for (const name of ["example.com", "badexample.com", ".example.com", "com", "", undefined, "example.com.evil.org"])
      expect(one.find(name)).toBeUndefined()
    expect(one.find("a.example.com")).toBe("*.example.com")
  })

  test("without one for every name, what is not named is found nowhere", () => {
    const one = names("a.example")
    for (const name of ["b.example", "x.a.example", "a.example.b", undefined]) expect(one.find(name)).toBeUndefined()
  })

  test("names of objects are names like others", () => {
    expect(names("constructor").find("constructor")).toBe("constructor")
    expect(names("a.example").find("__proto__")).toBeUndefined()
  })
})

test("it agrees with looking at every pattern", () => {
  const { below, pick } = random(4)
  const name = () => Array.from({ length: 1 + below(4) }, () => pick(["a", "b", "c"])).join(".")
  for (let i = 0; i < 500; i++) {
    const patterns = new Set(Array.from({ length: below(8) }, () => `${below(2) === 0 ? "*." : ""}${name()}`))
    const all = names(...patterns, ...(below(2) === 0 ? [undefined] : []))
    const asked = name()
    const wildcards = [...patterns].filter((one) => one.startsWith("*.") && asked.endsWith(one.slice(1)))
    const longest = wildcards.toSorted((a, b) => b.length - a.length)[0]
    expect(all.find(asked)).toBe(patterns.has(asked) ? asked : (longest ?? all.find(undefined)!))
  }
})

interface HostCase {
  readonly test: string
  readonly desc: string
  readonly rule?: string
  readonly server_name?: string
  readonly build_error: boolean
  readonly match: boolean
}

const cases =
  vectors<{ cases: readonly HostCase[] }>("name-and-address-matching.json")?.cases.filter(
    ({ rule, test }) => test === "Test_HostSNI" && rule !== undefined,
  ) ?? []

describe.skipIf(cases.length === 0)("the semantics of HostSNI", () => {
  test.each(cases.map((one) => ({ ...one, host: /`(.*)`/.exec(one.rule!)![1]! })))(
    "$rule: $desc",
    ({ build_error, host, match, server_name }) => {
      const listen = () => parseListen(`tls://${host === "*" ? "" : host}:443`)
      if (build_error) return expect(listen).toThrow("xn--")
      const name = server_name === "" ? undefined : server_name
      expect(names(listen()[0]!.pattern).find(name) !== undefined).toBe(match)
    },
  )
})

/** How often the tables are asked for some names among `size` patterns. */
function lookUps(size: number): number {
  const all = new ServerNames<number>()
  for (let i = 0; i < size; i++) all.set(`${i % 3 === 0 ? "*." : ""}n${i}.example.com`, i)
  using get = spyOn(Map.prototype, "get")
  for (const name of ["n1.example.com", "a.n3.example.com", "none.example.org"]) all.find(name)
  return get.mock.calls.length
}

test("a look-up among 100,000 names takes as many steps as one among ten", () => {
  expect(lookUps(10)).toBeGreaterThan(3)
  expect(lookUps(100_000)).toBe(lookUps(10))
})
