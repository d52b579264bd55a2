// The conformance manifests of Gateway API: invalid ones are refused at their fault, valid ones are taken, and whatever is
// done to them nothing is thrown.
import { describe, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { resolve } from "node:path"
import { readObject } from "../../../src/config/kubernetes/read.ts"
import type { ObjectDocument } from "../../../src/config/manifests/document.ts"
import { documentsOf } from "../../helper/cluster-of-objects.ts"
import { random, type Random } from "../../helper/random.ts"
import { problemsOf, said } from "../../helper/read-objects.ts"

const folder = resolve(import.meta.dir, "../../../../shared/conformance")

function manifests(inside: string): readonly string[] {
  const path = resolve(folder, inside)
  if (existsSync(path)) return readdirSync(path).filter((file) => /\.ya?ml$/.test(file) && file !== "expectations.yaml")
  console.log(`skipped: the manifests of ../shared/conformance/${inside} (they are absent)`)
  return []
}

function textOf(inside: string, file: string): string {
  return readFileSync(resolve(folder, inside, file), "utf8")
    .replaceAll("{GATEWAY_CLASS_NAME}", "tidegate")
    .replaceAll("PLACEHOLDER_UNUSABLE_ADDRS", "192.0.2.1")
    .replaceAll("PLACEHOLDER_USABLE_ADDRS", "127.0.0.1")
}

const valid = manifests("valid")
const all = manifests(".")

describe.skipIf(valid.length === 0)("valid", () => {
  test.each([...valid])("%s", (file) => {
    expect(said(textOf("valid", file))).toEqual({ problems: [], warnings: [] })
  })
})

describe.skipIf(all.length === 0)("replayed", () => {
  test.each([...all])("%s", (file) => {
    expect(problemsOf(textOf(".", file))).toEqual([])
  })
})

/** Without what was found. */
const placesOf = (file: string) => problemsOf(textOf("invalid", file)).map((problem) => problem.replace(/: .*$/, ""))

describe.skipIf(manifests("invalid").length === 0)("invalid", () => {
  test.each([
    ["gateway-duplicate-listeners.yaml", ["11:11 spec.listeners[1].name"]],
    ["gateway-invalid-listener-port.yaml", ["10:11 spec.listeners[0].port"]],
    ["gateway-tlsconfig-tcp.yaml", ["11:5 spec.listeners[0].tls"]],
    ["referencegrant-missing-from.yaml", ["5:1 spec"]],
    ["referencegrant-missing-to.yaml", ["5:1 spec"]],
    ["tlsroute-no-hostname.yaml", ["5:1 spec", "8:7 spec.rules[0].backendRefs[0]"]],
    [
      "gateway-invalid-addresses.yaml",
      [8, 9, 10, 11, 12, 13, 14, 15, 17, 19].map((line, i) => `${line}:12 spec.addresses[${i}].value`),
    ],
  ])("%s", (file, expected) => {
    expect(placesOf(file)).toEqual(expected)
  })
})

/** One value somewhere inside made another one. */
function spoilt(value: unknown, { below, pick }: Pick<Random, "below" | "pick">): unknown {
  const other = pick([
    null,
    "",
    "x",
    "-1",
    -1,
    1e9,
    0.5,
    true,
    [],
    {},
    [null],
    { x: 1 },
    "a".repeat(300),
    "*",
    "__proto__",
  ])
  if (typeof value !== "object" || value === null || below(7) === 0) return other
  if (Array.isArray(value)) {
    const at = below(value.length + 1)
    return at === value.length ? [...value, other] : value.with(at, spoilt(value[at], { below, pick }))
  }
  const names = Object.keys(value)
  const at = below(names.length + 1)
  const name = names[at]
  if (name === undefined) return { ...value, [`x${below(9)}`]: other }
  return { ...value, [name]: spoilt(Reflect.get(value, name), { below, pick }) }
}

test.skipIf(all.length === 0)("what is done to a manifest is told or taken, never thrown", () => {
  const next = random(20)
  const documents = [...valid.map((file) => textOf("valid", file)), ...all.map((file) => textOf(".", file))].flatMap(
    (text) => documentsOf(text),
  )
  let told = 0
  for (let i = 0; i < 3000; i++) {
    const document = documents[i % documents.length]!
    let value = document.value
    for (let j = 0; j <= i % 3; j++) value = spoilt(value, next)
    const changed: ObjectDocument = { ...document, place: document.place, value }
    const { problems, value: read } = readObject(changed)
    if (problems.length > 0) {
      told++
      expect(read).toBeUndefined()
      for (const { line, message } of problems) {
        expect(line).toBeGreaterThan(0)
        expect(message).not.toContain("[object Object]")
      }
    }
  }
  expect(told).toBeGreaterThan(1000)
})
