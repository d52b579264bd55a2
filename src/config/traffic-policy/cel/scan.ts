// The tokens of an expression: what is a text, what is a bracket, where things begin and end. For templates, which end at
// a bracket, and to say more about what does not parse than a parser can.

export interface Token {
  readonly kind: "bad" | "close" | "name" | "number" | "open" | "operator" | "separator" | "string"
  readonly text: string
  readonly start: number
  readonly end: number
}

const SPACE = /[\t\n\f\r ]+|\/\/[^\n]*/y
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y
const NUMBER = /0x[0-9a-fA-F]+u?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[uU]?/y
const OPERATOR = /==|!=|<=|>=|&&|\|\||[-+*/%!<>=.?&|^~@#$;\\`]/y
const PREFIX = /(?:[rR][bB]?|[bB][rR]?)?(?="|')/y

/** Reads one token from `at` on; `undefined` at the end of the text. Spaces and comments are left out. */
export function tokenAt(text: string, from: number): Token | undefined {
  let at = from
  while (matchAt(SPACE, text, at) !== undefined) at = SPACE.lastIndex
  if (at >= text.length) return undefined
  const char = text[at]!
  if ("([{".includes(char)) return token("open", text, at, at + 1)
  if (")]}".includes(char)) return token("close", text, at, at + 1)
  if (char === "," || char === ":") return token("separator", text, at, at + 1)
  const prefix = matchAt(PREFIX, text, at)
  if (prefix !== undefined) return stringAt(text, at, at + prefix.length, /r/i.test(prefix))
  if (matchAt(NAME, text, at) !== undefined) return token("name", text, at, NAME.lastIndex)
  const number = /[0-9]/.test(char) || (char === "." && /[0-9]/.test(text[at + 1] ?? ""))
  if (number && matchAt(NUMBER, text, at) !== undefined) return token("number", text, at, NUMBER.lastIndex)
  if (matchAt(OPERATOR, text, at) !== undefined) return token("operator", text, at, OPERATOR.lastIndex)
  return token("bad", text, at, at + (text.codePointAt(at)! > 0xffff ? 2 : 1))
}

/** All tokens up to the end, or up to one that is bad. */
export function tokens(text: string): readonly Token[] {
  const all: Token[] = []
  for (let next = tokenAt(text, 0); next !== undefined; next = tokenAt(text, next.end)) {
    all.push(next)
    if (next.kind === "bad") break
  }
  return all
}

/** With spaces in place of comments, which the library's parser wants a line break behind. */
export function withoutComments(text: string): string {
  if (!text.includes("//")) return text
  let at = 0
  let clean = ""
  for (const { end, start } of tokens(text)) {
    clean += text.slice(at, start).replaceAll(/\S/g, " ") + text.slice(start, end)
    at = end
  }
  return clean + text.slice(at).replace(/\/\/[^\n]*/g, (comment) => " ".repeat(comment.length))
}

/** A text in quotes, raw or not, up to its end; `bad` when there is none. */
function stringAt(text: string, start: number, open: number, raw: boolean): Token {
  const quote = text.startsWith(text[open]!.repeat(3), open) ? text[open]!.repeat(3) : text[open]!
  let at = open + quote.length
  while (at < text.length) {
    if (text.startsWith(quote, at)) return token("string", text, start, at + quote.length)
    if (quote.length === 1 && text[at] === "\n") break
    at += text[at] === "\\" && !raw ? 2 : 1
  }
  return token("bad", text, start, Math.min(at, text.length))
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}

function token(kind: Token["kind"], text: string, start: number, end: number): Token {
  return { kind, text: text.slice(start, end), start, end }
}
