// The official conformance tests of CEL, as far as they are about what expressions of policies have: through our
// functions, which take the place of some of the library's, and through everything that is done to an expression before.
import {
  celEnv,
  celUint,
  isCelError,
  isCelList,
  isCelMap,
  isCelType,
  isCelUint,
  parse,
  plan,
  type CelResult,
} from "@bufbuild/cel"
import type { Value } from "@bufbuild/cel-spec/cel/expr/value_pb.js"
import {
  getConformanceSuite,
  type IncrementalTest,
  type IncrementalTestSuite,
} from "@bufbuild/cel-spec/testdata/tests.js"
import { anyUnpack } from "@bufbuild/protobuf/wkt"
import { getTestRegistry } from "@bufbuild/cel-spec/testdata/registry.js"
import { describe, expect, test } from "bun:test"
import { refill } from "../../../../src/config/traffic-policy/cel/bounds.ts"
import { ENVIRONMENT } from "../../../../src/config/traffic-policy/cel/environment.ts"
import { EvaluationFailed } from "../../../../src/config/traffic-policy/cel/problem.ts"
import { compile } from "../../../../src/config/traffic-policy/cel/program.ts"
import { messageOf } from "../../../../src/config/traffic-policy/cel/value.ts"
import { madeFacts } from "./made-facts.ts"

/** What policies have no use for is left out: messages, enums, optional values, the extensions for mathematics. */
const SECTIONS = [
  "basic",
  "comparisons",
  "conversions",
  "fp_math",
  "integer_math",
  "lists",
  "logic",
  "macros",
  "parse",
  "plumbing",
  "string",
  "string_ext",
  "timestamps",
]

const registry = getTestRegistry()
const environment = celEnv({ registry, funcs: [...ENVIRONMENT.funcs] })

/** Without those about messages, which policies have none of. */
function testsIn(suite: IncrementalTestSuite): IncrementalTest[] {
  return [...suite.tests, ...suite.suites.flatMap(testsIn)].filter(
    ({ original: { checkOnly, expr } }) =>
      !checkOnly && !/TestAllTypes|\w\s*\{.*\}/.test(expr.replaceAll(/'[^']*'/g, "")),
  )
}

const sections = getConformanceSuite().suites.filter(({ name }) => SECTIONS.includes(name))

function given(value: Value | undefined): unknown {
  const kind = value?.kind
  switch (kind?.case) {
    case "nullValue":
      return null
    case "uint64Value":
      return celUint(kind.value)
    case "listValue":
      return kind.value.values.map(given)
    case "mapValue":
      return new Map(kind.value.entries.map(({ key, value }) => [given(key), given(value)]))
    case "objectValue":
      return anyUnpack(kind.value, registry)
    case "typeValue":
      return { typeName: kind.value }
    default:
      return kind?.value
  }
}

/** One text for values that are equal. */
function written(value: unknown): string {
  if (typeof value === "bigint" || typeof value === "number") return String(Object.is(value, -0) ? 0 : value)
  if (typeof value !== "object" || value === null) return `${typeof value} ${String(value)}`
  if (isCelUint(value)) return String(value.value)
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString("hex")}`
  if (isCelType(value)) return `type ${value.name}`
  if ("typeName" in value) return `type ${String(value.typeName)}`
  if (isCelList(value) || Array.isArray(value)) return `[${Array.from(value, written).join()}]`
  if (isCelMap(value) || value instanceof Map)
    return `{${Array.from(value.entries(), ([key, item]) => `${written(key)}: ${written(item)}`)
      .sort()
      .join()}}`
  const message = messageOf(value) ?? value
  const { $typeName, seconds, nanos } = Object.assign({ $typeName: "", seconds: 0n, nanos: 0 }, message)
  return `${$typeName} ${seconds} ${nanos}`
}

function bindings({ original }: IncrementalTest): Record<string, never> {
  const all = Object.entries(original.bindings).map(([name, { kind }]) => {
    return [name, kind.case === "value" ? given(kind.value) : undefined]
  })
  return Object.fromEntries(all) as Record<string, never>
}

/** Whether a result is what a test expects; an error is one whatever it says. */
function isExpected({ original }: IncrementalTest, result: unknown): boolean {
  const { resultMatcher } = original
  const failed = isCelError(result) || result instanceof EvaluationFailed
  switch (resultMatcher.case) {
    case "value":
      return !failed && written(result) === written(given(resultMatcher.value))
    case "evalError":
    case "anyEvalErrors":
      return failed
    case undefined:
      return result === true
    default:
      return true
  }
}

function planned(one: IncrementalTest): CelResult | EvaluationFailed {
  refill()
  try {
    return plan(environment, parse(one.original.expr))(bindings(one))
  } catch {
    return new EvaluationFailed("it does not parse", "ERR_NGROK_2200")
  }
}

describe.each(sections.map((section) => ({ name: section.name, all: testsIn(section) })))(
  "the conformance tests of $name",
  ({ all }) => {
    test("pass with our functions in place of the library's", () => {
      const wrong = all.filter((one) => !isExpected(one, planned(one)))
      expect(wrong.map(({ original }) => original.expr)).toEqual([])
    })

    test("pass for every expression that compiles", () => {
      const facts = madeFacts()
      const wrong = all.filter((one) => {
        const { planned } = compile(one.original.expr, false)
        return planned !== undefined && !isExpected(one, planned.run(facts))
      })
      expect(wrong.map(({ original }) => original.expr)).toEqual([])
    })
  },
)

test("all but a few dozen of them compile: the others have operands of the wrong type, or fail each time", () => {
  const all = sections.flatMap(testsIn).filter(({ original: { bindings, resultMatcher } }) => {
    return Object.keys(bindings).length === 0 && resultMatcher.case === "value"
  })
  const compiled = all.filter(({ original }) => compile(original.expr, false).planned !== undefined)
  expect(all.length).toBeGreaterThan(900)
  expect(compiled.length / all.length).toBeGreaterThan(0.97)
})
