// What Effect Schema found wrong, as sentences with paths: what was expected, what was found, and what was probably
// meant. All of it at once.
import { Schema, SchemaAST, SchemaIssue } from "effect"
import { describe } from "../../policy/describe.ts"
import { shownPath } from "../shown-path.ts"
import { didYouMean, suggest } from "../../policy/suggest.ts"
import { advice } from "./advice.ts"

export interface Fault {
  readonly path: readonly PropertyKey[]
  readonly message: string
  /** A name that should not be there, by its whole path; the message is about what it stands in. */
  readonly unknown?: true
  /** A name that is not there; `path` is what it should stand in. */
  readonly missing?: true
  /** What YAML makes of what was probably meant. */
  readonly hint?: string
}

export type Decoded<A> = { readonly value: A } | { readonly faults: readonly Fault[] }

const OPTIONS = { errors: "all", onExcessProperty: "error", reportInput: true } as const

/** Decodes a value that came from outside. What is `undefined` counts as left out. */
export function decode<S extends Schema.ConstraintDecoder<unknown>>(schema: S, input: unknown): Decoded<S["Type"]> {
  return decoderOf(schema)(given(input, 0))
}

/**
 * The same for values that a text was read to, thousands of times: nothing in them is `undefined`.
 * @param unknown what becomes of names that the schema does not have
 */
export function decoderOf<S extends Schema.ConstraintDecoder<unknown>>(
  schema: S,
  unknown: "error" | "ignore" = "error",
): (input: unknown) => Decoded<S["Type"]> {
  const decodeResult = Schema.decodeUnknownResult(schema, { ...OPTIONS, onExcessProperty: unknown })
  return (input) => {
    const result = decodeResult(input)
    if (result._tag === "Success") return { value: result.success }
    return { faults: distinct(faultsOf(result.failure.issue, [], schema.ast)) }
  }
}

/** `pools.db.queue: has no effect without maxConnections` */
export function shownFault({ message, path, unknown }: Fault): string {
  const shown = shownPath(unknown === true ? path.slice(0, -1) : path)
  return shown === "" ? message : `${shown}: ${message}`
}

/** 16: deeper than any configuration; what goes in circles ends. */
const DEEPEST = 16

function given(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null || depth > DEEPEST) return value
  if (Array.isArray(value)) return value.map((item) => given(item, depth + 1))
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined)
  // A Map or a Date has no options, but is not empty ones: no schema takes a symbol, and it says what there was.
  if (entries.length === 0 && !isPlain(value)) return Symbol(describe(value))
  return Object.fromEntries(entries.map(([name, inner]) => [name, given(inner, depth + 1)]))
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

function faultsOf(issue: SchemaIssue.Issue, path: readonly PropertyKey[], ast: SchemaAST.AST): readonly Fault[] {
  switch (issue._tag) {
    case "Pointer":
      return faultsOf(issue.issue, [...path, ...issue.path], issue.path.reduce(inside, ast))
    case "Composite":
      return issue.issues.flatMap((inner) => faultsOf(inner, path, issue.ast))
    case "AnyOf":
      return anyOf(issue, path)
    case "Filter":
    case "Encoding":
      return faultsOf(issue.issue, path, ast)
    case "MissingKey":
      return [
        {
          path: path.slice(0, -1),
          missing: true,
          message: `${String(path.at(-1))} is missing: expected ${expected(ast)}`,
        },
      ]
    case "UnexpectedKey":
      return [unexpected(issue.ast, path)]
    case "InvalidValue":
      if (issue.annotations?.message !== undefined) return [{ path, message: issue.annotations.message }]
      return [{ path, ...mismatch(ast, issue) }]
    case "InvalidType":
      return [{ path, ...mismatch(issue.ast, issue) }]
    case "Forbidden":
    case "OneOf":
      return [{ path, ...mismatch(ast, issue) }]
  }
}

/** The schema of a member; one that is not known leaves the message to the value's own. */
function inside(ast: SchemaAST.AST, step: PropertyKey): SchemaAST.AST {
  if (SchemaAST.isArrays(ast)) return ast.elements[Number(step)] ?? ast.rest[0] ?? ast
  if (!SchemaAST.isObjects(ast)) return ast
  return ast.propertySignatures.find(({ name }) => name === step)?.type ?? ast.indexSignatures[0]?.type ?? ast
}

function unexpected(ast: SchemaAST.AST, path: readonly PropertyKey[]): Fault {
  const name = String(path.at(-1))
  const why = SchemaAST.resolve(ast)?.["messageUnexpectedKey"]
  if (typeof why === "string") return { path, unknown: true, message: `${describe(name)}: ${why}` }
  const known = namesOf(ast)
  const meant = didYouMean(name, known) || `; known are ${known.join(", ")}`
  return { path, unknown: true, message: `there is no option ${describe(name)}${meant}` }
}

function namesOf(ast: SchemaAST.AST): string[] {
  return SchemaAST.isObjects(ast) ? ast.propertySignatures.map(({ name }) => String(name)) : []
}

/** Of several shapes that a value could have had, the one that it is nearest to says what is wrong. */
function anyOf({ ast, issues, ...issue }: SchemaIssue.AnyOf, path: readonly PropertyKey[]): readonly Fault[] {
  const [only, ...more] = issues
  if (only !== undefined && more.length === 0) return faultsOf(only, path, ast)
  const input = "input" in issue ? issue.input : undefined
  const names = typeof input === "object" && input !== null ? Object.keys(input) : []
  let nearest: SchemaIssue.Issue | undefined
  let most = 0
  for (const one of issues) {
    const score = "ast" in one ? likeness(names, namesOf(one.ast)) : 0
    if (score > most) [nearest, most] = [one, score]
  }
  return nearest === undefined ? [{ path, ...mismatch(ast, issue) }] : faultsOf(nearest, path, ast)
}

/** Names that are there count twice as much as names that are nearly there. */
function likeness(names: readonly string[], known: readonly string[]): number {
  return names.reduce((sum, name) => sum + (known.includes(name) ? 2 : suggest(name, known) === undefined ? 0 : 1), 0)
}

function mismatch(
  ast: SchemaAST.AST,
  issue: { readonly input?: unknown },
): { readonly message: string; readonly hint?: string } {
  const { input } = issue
  const near = typeof input === "string" ? didYouMean(input, wordsOf(ast)) : ""
  const message = `expected ${expected(ast)}, found ${found(input, ast)}${near}`
  const hint = advice(input, ast)
  return hint === undefined ? { message } : { message, hint }
}

function found(input: unknown, ast: SchemaAST.AST): string {
  if (typeof input === "symbol") return input.description ?? "a symbol"
  if (!isSecret(ast)) return describe(input)
  if (typeof input === "string") return "another text"
  return typeof input === "object" ? describe(input) : `a ${typeof input}`
}

function isSecret(ast: SchemaAST.AST): boolean {
  return SchemaAST.resolve(ast)?.["secret"] === true
}

function expected(ast: SchemaAST.AST): string {
  const said = SchemaAST.resolve(ast)?.["expected"]
  if (typeof said === "string") return said
  if (SchemaAST.isUnion(ast)) return ast.types.map(expected).join(" or ")
  if (SchemaAST.isLiteral(ast)) return JSON.stringify(ast.literal)
  if (SchemaAST.isArrays(ast)) return "a list"
  if (SchemaAST.isObjects(ast)) return "an object"
  return SchemaAST.isString(ast) ? "a text" : SchemaAST.isNumber(ast) ? "a number" : "another value"
}

function wordsOf(ast: SchemaAST.AST): readonly string[] {
  const words = SchemaAST.resolve(ast)?.["words"]
  if (Array.isArray(words)) return words.map(String)
  return SchemaAST.isUnion(ast) ? ast.types.flatMap(wordsOf) : []
}

/** A number that is neither whole nor in range is one fault. */
function distinct(faults: readonly Fault[]): readonly Fault[] {
  const seen = new Set<string>()
  return faults.filter((fault) => {
    const shown = JSON.stringify([fault.path.map(String), fault.message])
    return !seen.has(shown) && seen.add(shown)
  })
}
