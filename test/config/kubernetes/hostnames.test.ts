// What listeners and routes match together, against an oracle that asks for every name.
import { describe, expect, test } from "bun:test"
import {
  bySpecificity,
  covers,
  intersection,
  normalHostname,
  type Hostname,
} from "../../../src/config/kubernetes/hostnames.ts"
import { random } from "../../helper/random.ts"

/** The definition, word for word: `*` is one or more whole labels. */
function matches(pattern: Hostname, name: string): boolean {
  if (pattern === undefined) return true
  const wanted = pattern.split(".")
  const given = name.split(".")
  if (wanted[0] !== "*") return pattern === name
  const rest = wanted.slice(1)
  if (given.length <= rest.length) return false
  return rest.every((label, i) => label === given[given.length - rest.length + i])
}

const LABELS = ["a", "b", "ab"]
/** Every name of up to four labels. */
const NAMES = [1, 2, 3, 4].flatMap((labels) => namesOf(labels))
const PATTERNS: readonly Hostname[] = [
  undefined,
  ...[1, 2, 3].flatMap((labels) => namesOf(labels).flatMap((name) => [name, `*.${name}`])),
]

function namesOf(labels: number): string[] {
  if (labels === 0) return [""]
  return namesOf(labels - 1).flatMap((rest) => LABELS.map((label) => (rest === "" ? label : `${label}.${rest}`)))
}

describe("the intersection of two hostnames", () => {
  test("matches the names that both match, for every pair of patterns", () => {
    // Every second pattern of one side: all pairs of all take seconds.
    for (const a of PATTERNS.filter((_, i) => i % 2 === 0)) {
      for (const b of PATTERNS) {
        const both = intersection(a, b)
        for (const name of NAMES) {
          const expected = matches(a, name) && matches(b, name)
          if ((both !== false && matches(both, name)) !== expected)
            throw new Error(`${a} and ${b} give ${String(both)}, which is wrong for ${name}`)
        }
        expect(intersection(b, a)).toBe(both)
      }
    }
  })

  test("is the name where the other is a wildcard above it", () => {
    expect(intersection("abc.example.com", "*.example.com")).toBe("abc.example.com")
    expect(intersection("*.example.com", "a.b.example.com")).toBe("a.b.example.com")
    expect(intersection("*.com", "*.example.com")).toBe("*.example.com")
    expect(intersection(undefined, "*.example.com")).toBe("*.example.com")
    expect(intersection("example.com", undefined)).toBe("example.com")
    expect(intersection(undefined, undefined)).toBeUndefined()
  })

  test("is nothing for the bare name of a wildcard, for a neighbour, and for a name that ends alike", () => {
    expect(intersection("*.example.com", "example.com")).toBe(false)
    expect(intersection("a.example.com", "b.example.com")).toBe(false)
    expect(intersection("*.example.com", "www.myexample.com")).toBe(false)
    expect(intersection("*.example.com", "*.example.net")).toBe(false)
  })
})

describe("what a hostname covers", () => {
  test("is what the oracle says, for random pairs", () => {
    const { pick } = random(7)
    for (let i = 0; i < 20_000; i++) {
      const a = pick(PATTERNS)
      const b = pick(PATTERNS)
      const inside = NAMES.filter((name) => matches(b, name))
      // Only `undefined` matches a client that names no server.
      const expected = inside.every((name) => matches(a, name)) && (b !== undefined || a === undefined)
      if (covers(a, b) !== expected) throw new Error(`covers(${a}, ${b}) is ${!expected}`)
    }
  })
})

test("the more specific hostname comes first: exact, longer wildcard, shorter wildcard, any", () => {
  const sorted = [undefined, "*.com", "a.com", "*.example.com", "long.example.com"].toSorted(bySpecificity)
  // toSorted puts undefined last whatever it is told.
  expect(sorted).toEqual(["long.example.com", "a.com", "*.example.com", "*.com", undefined])
  expect(bySpecificity(undefined, "*.a")).toBeGreaterThan(0)
  expect(bySpecificity("a", `*.${"b.".repeat(120)}b`)).toBeLessThan(0)
})

test("names are compared in lower case and without a final dot", () => {
  expect(normalHostname("DB.Example.COM.")).toBe("db.example.com")
})
