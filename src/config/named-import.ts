// Finds where a module imports a certain export: in the clauses of its import statements, and where it has the module as
// a whole, in what it takes from it.
import type { CodeLoader, ImportSite } from "./specifiers.ts"

/** The statement before a specifier: its names are the second group, or a namespace is the third. */
const CLAUSE =
  /^(?:import|export)(?![\p{L}\w$])\s*(?:[\p{L}\w$]+\s*,\s*)?(?:(\{)([^{}]*)\}|\*\s*as\s+([\p{L}\w$]+))\s*from\s*$/u
/** What asks for no name: `import "x"`, `export * from "x"`. */
const NO_NAMES = /^(?:import|export\s*\*\s*from)\s*$/
const DYNAMIC = /^import\s*\(\s*$/
/** A statement has this many characters at most: hundreds of names. */
const LONGEST_STATEMENT = 20_000

/**
 * The offset at which a module asks for `name` of the module that it imports at these sites; `undefined` when it does
 * not. What it takes from a namespace, from `import()` or `require()` is found where the name stands in the code.
 */
export function importOffset(
  text: string,
  loader: CodeLoader,
  sites: readonly ImportSite[],
  name: string,
): number | undefined {
  if (!text.includes(name)) return undefined
  for (const { start } of sites) {
    const found = statementOffset(text, loader, start - 1, name)
    if (found !== undefined) return found
  }
  return undefined
}

function statementOffset(text: string, loader: CodeLoader, end: number, name: string): number | undefined {
  const from = Math.max(0, end - LONGEST_STATEMENT)
  const before = text.slice(from, end)
  const keywords = [...before.matchAll(/(?<![\w$.])(?:import|export)(?![\w$])/g)]
  // The nearest from which on it is a statement: a comment in it may have the word too.
  for (const { index } of keywords.toReversed()) {
    const statement = withoutComments(before.slice(index))
    if (NO_NAMES.test(statement)) return undefined
    if (DYNAMIC.test(statement)) break
    const match = CLAUSE.exec(statement)
    if (match === null) continue
    const [, brace, names = "", namespace] = match
    if (brace === undefined) return memberOffset(text, loader, namespace!, name, end)
    const at = nameOffset(names, name)
    return at === undefined ? undefined : from + index + statement.indexOf("{") + 1 + at
  }
  // import(), require(): whatever they give is taken apart somewhere.
  return wordOffset(text, loader, `(?<![\\w$])${name}(?![\\w$])`, end)
}

/** Where the name is imported, under whichever name; types are not. */
function nameOffset(names: string, name: string): number | undefined {
  for (const match of names.matchAll(/[^,]+/g)) {
    const words = match[0].trim().split(/\s+/)
    const isType = words[0] === "type" && words[1] !== undefined && words[1] !== "as"
    if (!isType && (words[0] === name || words[0] === `"${name}"` || words[0] === `'${name}'`))
      return match.index + match[0].indexOf(words[0])
  }
  return undefined
}

/** Where the name is taken from a namespace. */
function memberOffset(
  text: string,
  loader: CodeLoader,
  namespace: string,
  name: string,
  fallback: number,
): number | undefined {
  const space = namespace.replaceAll("$", "\\$")
  const member = `(?<![\\w$.])${space}\\s*(?:\\?\\.|\\.)\\s*${name}(?![\\w$])`
  const index = `(?<![\\w$.])${space}\\s*(?:\\?\\.\\s*)?\\[\\s*["'\`]${name}["'\`]\\s*\\]`
  const taken = `\\{[^{}]*(?<![\\w$])${name}(?![\\w$])[^{}]*\\}\\s*=\\s*${space}(?![\\w$])`
  return wordOffset(text, loader, `${member}|${index}|${taken}`, fallback)
}

/** Where the pattern is in the text, if it is in its code: not only in a comment. */
function wordOffset(text: string, loader: CodeLoader, pattern: string, fallback: number): number | undefined {
  const code = new Bun.Transpiler({ loader }).transformSync(text)
  if (!new RegExp(pattern).test(code)) return undefined
  return new RegExp(pattern).exec(text)?.index ?? fallback
}

/** Of the same length. */
function withoutComments(statement: string): string {
  return statement.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, (comment) => comment.replace(/[^\n]/g, " "))
}
