import { expect, test } from "bun:test"
import { covering } from "../../../src/config/kubernetes/overlaps.ts"
import { ServerNames } from "../../../src/policy/server-names.ts"

test("what covers a hostname is less specific, the most specific first", () => {
  expect([...covering("a.b.example.com")]).toEqual(["*.b.example.com", "*.example.com", "*.com", ""])
  expect([...covering("*.b.example.com")]).toEqual(["*.example.com", "*.com", ""])
  expect([...covering("localhost")]).toEqual([""])
  expect([...covering("*.com")]).toEqual([""])
  expect([...covering("")]).toEqual([])
})

/** Every hostname of up to three labels out of two. */
function hostnames(): readonly string[] {
  const labels = ["a", "b"]
  const two = labels.flatMap((x) => labels.map((y) => `${x}.${y}`))
  const three = two.flatMap((x) => labels.map((y) => `${x}.${y}`))
  const plain = [...labels, ...two, ...three]
  return ["", ...plain, ...plain.map((name) => `*.${name}`)]
}

/** Whether the gateway would ask a listener with this pattern about the name. */
function matches(pattern: string, name: string): boolean {
  const names = new ServerNames<true>()
  names.set(pattern === "" ? undefined : pattern, true)
  return names.find(name) === true
}

test("a hostname is covered by exactly what the gateway matches all of its names with", () => {
  for (const hostname of hostnames()) {
    // What a wildcard matches has one label more than it, at least.
    const names = hostname.startsWith("*.") ? [`x${hostname.slice(1)}`, `x.y${hostname.slice(1)}`] : [hostname]
    const found = new Set(covering(hostname))
    for (const pattern of hostnames()) {
      if (hostname === "" || pattern === hostname || !(pattern === "" || pattern.startsWith("*."))) continue
      expect([hostname, pattern, found.has(pattern)]).toEqual([
        hostname,
        pattern,
        names.every((name) => matches(pattern, name)),
      ])
    }
  }
})
