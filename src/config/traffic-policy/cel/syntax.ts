// Says what is wrong with an expression that does not parse. The library's parser says where it gave up, which is often
// far from the mistake; the mistakes that people make are known.
import { DEEPEST_BRACKETS } from "./bounds.ts"
import type { Token } from "./scan.ts"

export interface SyntaxProblem {
  readonly offset: number
  readonly length: number
  readonly message: string
  readonly hint: string | undefined
}

const PAIRS: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" }

/** What other languages write, and what CEL has instead. */
const FOREIGN: Readonly<Record<string, string>> = {
  "=": "a comparison is ==",
  "&": "write && for and",
  "|": "write || for or",
  and: "write &&",
  or: "write ||",
  not: "write !",
  "=>": "CEL has no lambdas: list.exists(x, x > 1) names its variable first",
  "->": "CEL has no lambdas: list.exists(x, x > 1) names its variable first",
}

/** Brackets that do not fit, or too many within each other: to be looked at before anything is parsed. */
export function bracketProblem(all: readonly Token[]): SyntaxProblem | undefined {
  const open: Token[] = []
  for (const token of all) {
    if (token.kind === "open") {
      open.push(token)
      if (open.length > DEEPEST_BRACKETS)
        return at(token, `brackets more than ${DEEPEST_BRACKETS} deep within each other, which is the most`)
    }
    if (token.kind !== "close") continue
    const opened = open.pop()
    if (opened === undefined) return at(token, `${token.text} closes nothing`)
    const expected = PAIRS[opened.text]
    if (token.text !== expected)
      return at(token, `expected ${expected}, which closes the ${opened.text}, found ${token.text}`)
  }
  const last = open.at(-1)
  return last === undefined ? undefined : at(last, `the ${last.text} is not closed: expected ${PAIRS[last.text]}`)
}

/** What is wrong, by the tokens alone; `undefined` when they tell nothing. */
export function syntaxProblem(text: string, all: readonly Token[]): SyntaxProblem | undefined {
  const bad = all.find(({ kind }) => kind === "bad")
  if (bad !== undefined) return badToken(text, bad)
  return comprehension(all) ?? declaration(all) ?? bracketProblem(all) ?? order(text, all)
}

function badToken(text: string, bad: Token): SyntaxProblem {
  if (/["']/.test(bad.text))
    return at(bad, "the text in quotes has no end", "a quote within a text is written \\\" or \\'")
  if (/[\u2018\u2019\u201c\u201d]/.test(bad.text))
    return at(bad, `${bad.text} is a typographic quotation mark`, "texts stand between \" or '")
  const found = text.slice(bad.start, bad.end)
  return at(bad, `${JSON.stringify(found)} has no meaning outside of a text in quotes`)
}

/** `[x for x in list if condition]`, which ngrok's own page about expressions teaches. */
function comprehension(all: readonly Token[]): SyntaxProblem | undefined {
  const here = all.findIndex((token, i) => token.text === "for" && token.kind === "name" && all[i + 2]?.text === "in")
  const found = all[here]
  if (found === undefined) return undefined
  return at(
    found,
    "CEL has no list comprehensions like Python's",
    "write list.filter(x, condition), or list.map(x, condition, value)",
  )
}

/** `var x = 1`, likewise. */
function declaration(all: readonly Token[]): SyntaxProblem | undefined {
  const found = all.find(
    (token, i) =>
      /^(?:var|let|const)$/.test(token.text) && all[i + 1]?.kind === "name" && all[i + 2]?.text === "=" && i >= 0,
  )
  if (found === undefined) return undefined
  return at(found, "CEL has no variables of its own", "set one with the action set-vars, and read it as vars.<name>")
}

/** Values and operators take turns. */
function order(text: string, all: readonly Token[]): SyntaxProblem | undefined {
  let isValueBefore = false
  let before: Token | undefined
  for (const [i, token] of all.entries()) {
    const wrong = turn(token, isValueBefore, before, all[i + 1])
    if (wrong !== undefined) return wrong
    isValueBefore = isValueBehind(token, before)
    before = token
  }
  if (before === undefined) return { offset: 0, length: 0, message: "the expression is empty", hint: undefined }
  if (isValueBefore) return undefined
  return { offset: text.length, length: 0, message: `expected a value behind ${before.text}`, hint: undefined }
}

function turn(
  token: Token,
  isValueBefore: boolean,
  before: Token | undefined,
  next: Token | undefined,
): SyntaxProblem | undefined {
  const two = next !== undefined && next.start === token.end ? token.text + next.text : token.text
  if (isValueBefore && token.text === "not" && next?.text === "in")
    return at(token, "CEL has no `not in`", "write !(x in list)")
  const foreign = isValueBefore || token.text === "not" ? (FOREIGN[two] ?? FOREIGN[token.text]) : undefined
  if (foreign !== undefined && token.kind !== "string") return at(token, `${token.text} is no operator of CEL`, foreign)
  if (token.text === "=" && before?.end === token.start && /^[=!]=$/.test(before.text))
    return at(before, `${before.text}= is no operator of CEL`, `write ${before.text}`)
  const isValue = token.kind === "string" || token.kind === "number" || (token.kind === "name" && token.text !== "in")
  if (isValue && isValueBefore) return at(token, `expected an operator before ${shown(token)}`, undefined)
  const isBinary = token.kind === "operator" && !/^[-!.]$/.test(token.text)
  if ((isBinary || token.text === "in") && !isValueBefore)
    return at(token, `expected a value before ${token.text}`, undefined)
  return undefined
}

/** Whether an operator may follow. */
function isValueBehind({ kind, text }: Token, before: Token | undefined): boolean {
  if (kind === "close" || kind === "string" || kind === "number") return true
  return kind === "name" && (text !== "in" || before?.text === ".")
}

function shown({ text }: Token): string {
  return text.length > 40 ? `${text.slice(0, 40)}...` : text
}

function at({ end, start }: Token, message: string, hint?: string): SyntaxProblem {
  return { offset: start, length: end - start, message, hint }
}
