// Texts of any kind never make the compiler throw, and values of any kind never make an evaluation throw.
import { expect, test } from "bun:test"
import {
  compileDeep,
  compileExpression,
  compileTemplate,
  EvaluationFailed,
  fromPlain,
  plain,
  textOf,
  type Json,
} from "../../../../src/config/traffic-policy/cel/index.ts"
import { VARIABLES } from "../../../../src/config/traffic-policy/cel/variables.ts"
import { OVERLOADS } from "../../../../src/config/traffic-policy/cel/environment.ts"
import { random } from "../../../helper/random.ts"
import { madeFacts } from "./made-facts.ts"

const ROUNDS = 5000

const SYMBOLS =
  `( ) [ ] { } . , : ? ! + - * / % == != < <= > >= && || in " ' \\ $ \${ } // \n \u{1F600} \u0000 \ud800`.split(" ")
const WORDS = [
  ...VARIABLES.keys(),
  ...OVERLOADS.keys(),
  "x",
  "vars",
  "vars.a",
  "vars.b",
  "actions.ngrok.log",
  "has",
  "map",
  "filter",
  "all",
  "exists",
  "sortBy",
  "true",
  "null",
  "1",
  "0",
  "-1",
  "1u",
  "2.5",
  "'a'",
  '"10.0.0.0/8"',
  "b'x'",
  "[1, 'a']",
  "{'a': 1}",
  "r'\\d'",
  "0x7f",
]

/** Texts that look like expressions more or less. */
function texts(seed: number): () => string {
  const { below, pick } = random(seed)
  return () => {
    const length = 1 + below(12)
    return Array.from({ length }, () => pick(below(2) === 0 ? SYMBOLS : WORDS)).join(below(2) === 0 ? " " : "")
  }
}

/** Expressions that parse. */
function expressions(seed: number): () => string {
  const { below, pick } = random(seed)
  const operators = ["==", "!=", "<", "+", "-", "*", "/", "&&", "||", "in"]
  const methods = [...OVERLOADS.keys()].filter((name) => /^[a-zA-Z]+$/.test(name))
  const leaf = () => pick(WORDS.filter((word) => /^[\w."'[{]/.test(word) && !OVERLOADS.has(word)))
  const expression = (depth: number): string => {
    if (depth === 0) return leaf()
    const inner = () => expression(depth - 1)
    switch (below(8)) {
      case 0:
        return `(${inner()} ${pick(operators)} ${inner()})`
      case 1:
        return `${inner()}.${pick(methods)}(${below(2) === 0 ? "" : inner()})`
      case 2:
        return `dyn(${inner()})`
      case 3:
        return `(${inner()} ? ${inner()} : ${inner()})`
      case 4:
        return `[${inner()}, ${inner()}]`
      case 5:
        return `${inner()}.${pick(["map", "filter", "all", "exists", "sortBy"])}(x, ${pick(["x", inner()])})`
      case 6:
        return `${inner()}[${inner()}]`
      default:
        return `${pick([...OVERLOADS.keys()].filter((name) => /^[a-zA-Z]/.test(name)))}(${inner()})`
    }
  }
  return () => expression(1 + below(4))
}

/** Plain data of any shape. */
function values(seed: number): () => Json {
  const { below } = random(seed)
  const value = (depth: number): Json => {
    switch (below(depth === 0 ? 5 : 7)) {
      case 0:
        return null
      case 1:
        return below(2) === 0
      case 2:
        return [0, -1, 1.5, 2 ** 53, 1e300][below(5)] ?? 0
      case 3:
        return ["", "a", "${vars.a}", "$${x}", "${1/0}", "203.0.113.7", "\u{1F600}", "__proto__"][below(8)] ?? ""
      case 4:
        return below(1000)
      case 5:
        return Array.from({ length: below(4) }, () => value(depth - 1))
      default:
        return Object.fromEntries(
          Array.from({ length: below(4) }, (_, i) => [
            ["a", "b", "constructor", "__proto__"][i] ?? "",
            value(depth - 1),
          ]),
        )
    }
  }
  return () => value(3)
}

test("texts of any kind compile or have problems that lie within them", () => {
  const next = texts(1)
  for (let i = 0; i < ROUNDS; i++) {
    const text = next()
    for (const { problems, program } of [compileExpression(text), compileTemplate(text)]) {
      if (program === undefined) expect(problems).not.toEqual([])
      for (const { length, offset } of problems) {
        const isWithin = offset >= 0 && length >= 0 && offset + length <= text.length
        expect({ text, offset, length, isWithin }).toMatchObject({ isWithin: true })
      }
    }
  }
})

test("expressions that compile give a value or fail, whatever variables hold, and what they give can be written", () => {
  const next = expressions(2)
  const value = values(3)
  let compiled = 0
  for (let i = 0; i < ROUNDS; i++) {
    const { program } = compileTemplate(`\${${next()}}`)
    if (program === undefined) continue
    compiled++
    const facts = madeFacts()
    facts.setVar("a", fromPlain(value()))
    facts.setVar("b", fromPlain(value()))
    facts.setResult("log", { metadata: value() })
    const result = program.evaluate(facts)
    if (result instanceof EvaluationFailed) continue
    expect(JSON.stringify(plain(result))).toBeString()
    expect(textOf(result)).toBeString()
  }
  expect(compiled).toBeGreaterThan(ROUNDS / 50)
})

test("values of any shape compile, and give what they are where nothing is filled in", () => {
  const value = values(4)
  for (let i = 0; i < ROUNDS / 4; i++) {
    const json = value()
    const { problems, program } = compileDeep(json)
    if (program === undefined) expect(problems).not.toEqual([])
    const result = program?.evaluate(madeFacts())
    if (program?.isStatic === true && result !== undefined && !(result instanceof EvaluationFailed))
      expect(plain(result)).toEqual(plain(fromPlain(JSON.parse(JSON.stringify(json).replaceAll("$${", "${")))))
  }
})
