// YAML 1.2, and JSON with it, to plain values that know where they stand. The only user of the npm library `yaml`; what a
// text can make us do is bounded here, and what plain data has no place for is refused.
import {
  Composer,
  stringify,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  Parser,
  type CST,
  type Document,
  type Node,
  type Pair,
} from "yaml"
import { didYouMean } from "../policy/suggest.ts"
import { diagnostic, type Diagnostic, type Place } from "./diagnostic.ts"

export interface YamlDocument {
  /** Where it stands among those of the text, from 0; faulty ones count. */
  readonly index: number
  /** `null`, booleans, numbers, texts, lists and objects of these. What an alias stands for is the same object again. */
  readonly value: unknown
  /**
   * Where the value at this path stands, or its key; an object or a list stands where its key does. For a path that leads
   * further than the document, as far as it goes.
   */
  place(path: readonly PropertyKey[], what?: "key" | "value"): Place
}

export interface YamlText {
  /** Those without a problem of their own; none where the text as a whole is refused. */
  readonly documents: readonly YamlDocument[]
  readonly problems: readonly Diagnostic[]
}

/** 1 MiB: what is written by hand has some kB. The worst text of that size takes the library 2.5 seconds, on the thread that serves. */
export const LARGEST_YAML = 1024 * 1024
/** 64: people stop at 10; the library goes down by recursion. */
const DEEPEST = 64
/** 250,000 values, those that stand behind aliases counted each time: a few aliases of aliases stand for billions. */
const MOST_VALUES = 250_000
/** 5: one slip makes many errors, and the first ones name it. */
const MOST_PROBLEMS = 5
/** What plain data is made of. The library knows others too: bytes, sets, points in time. */
const TAGS = new Set(["str", "int", "float", "bool", "null", "map", "seq"].map((name) => `tag:yaml.org,2002:${name}`))

/**
 * @param path of the file, for the problems
 * @param shown the text as problems show it, with as many lines and columns
 */
export function readYaml(path: string, text: string, shown = text): YamlText {
  const bytes = Buffer.byteLength(text)
  if (bytes > LARGEST_YAML) return refused(diagnostic({ path }, `${bytes} bytes; at most ${LARGEST_YAML}`))
  const lines = new LineCounter()
  const tokens = [...new Parser(lines.addNewLine).parse(text)]
  const place: At = (offset) => {
    const { col, line } = lines.linePos(Math.min(offset, text.length))
    return { path, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const problem: Complain = (offset, message, hint) => diagnostic(place(offset), message, hint, shown)
  const deep = tooDeep(tokens)
  if (deep !== undefined) return refused(problem(deep, `values in values, more than ${DEEPEST} deep`))
  // Whether keys are unique is found out below: the library compares each with each.
  const options = { uniqueKeys: false, prettyErrors: false, logLevel: "silent", stringKeys: true } as const
  const parsed = [...new Composer(options).compose(tokens)]
  const lineOf = (offset: number) => place(offset).line
  const problems: Diagnostic[] = []
  const size: Size = { values: 0 }
  const documents = parsed.flatMap((document, index): YamlDocument[] => {
    const faults = syntaxFaults(document, text)
    const { contents } = document
    const reader = new Reader(lineOf, size)
    const read = faults.length > 0 ? undefined : readAll(reader, contents)
    if (read instanceof TooMuch) problems.push(problem(read.offset, read.message, read.hint))
    const all = firstOfLines([...faults, ...reader.faults], lineOf)
    problems.push(...all.map(({ message, offset }) => problem(offset, message)))
    if (read === undefined || read instanceof TooMuch || all.length > 0) return []
    const { aliases } = reader
    return [{ index, value: read.value, place: (at, what) => place(offsetOf(contents, at, what ?? "value", aliases)) }]
  })
  return { documents, problems: problems.slice(0, MOST_PROBLEMS) }
}

function syntaxFaults({ directives, errors, warnings }: Parsed, text: string): Fault[] {
  const faults = [...errors, ...warnings].map(({ message, pos }) => ({
    offset: pos[0],
    message: /\btags?\b/i.test(message) && beginsWithBang(text, pos[0]) ? `${message}${QUOTES}` : message,
  }))
  if (directives.yaml.explicit !== true || directives.yaml.version === "1.2") return faults
  const message = `YAML ${directives.yaml.version}: only YAML 1.2 is read`
  return [...faults, { offset: Math.max(text.indexOf("%YAML"), 0), message }]
}

/** Expressions of traffic policies begin like tags, and then mean something else. */
const QUOTES = '; a text that begins with "!" has to stand in quotes'

const BANG = /^!(?:[\w.]*\(|[a-z]\w*\.\w)/

/** Whether what is written there, or in the line, begins with what looks like a call or an operation behind a "!". */
function beginsWithBang(text: string, offset: number): boolean {
  if (BANG.test(text.slice(offset, offset + 100)) && text[offset] === "!") return true
  const start = text.lastIndexOf("\n", offset) + 1
  const end = text.indexOf("\n", offset)
  return /^\s*(?:- )*\s*(?:[\w-]+:\s+)?!(?:[\w.]*\(|[a-z]\w*\.\w)/.test(text.slice(start, end < 0 ? text.length : end))
}

function readAll(reader: Reader, contents: Node | null): { readonly value: unknown } | TooMuch {
  try {
    return { value: contents === null ? null : reader.read(contents) }
  } catch (error) {
    if (error instanceof TooMuch) return error
    throw error
  }
}

/** Values as the documents of one text. */
export function writeYaml(values: readonly unknown[]): string {
  // Without anchors, and on as many lines as there are values: it is read by people and compared by programs.
  return values
    .map((value) => stringify(value, { version: "1.1", aliasDuplicateObjects: false, lineWidth: 0 }))
    .join("---\n")
}

type Parsed = Pick<Document.Parsed, "contents" | "directives" | "errors" | "warnings">
type At = (offset: number) => Place
type Complain = (offset: number, message: string, hint?: string) => Diagnostic

interface Fault {
  readonly offset: number
  readonly message: string
}

/** Reading on would not end. */
class TooMuch extends Error {
  readonly offset: number
  readonly hint: string | undefined
  constructor(offset: number, message: string, hint?: string) {
    super(message)
    this.offset = offset
    this.hint = hint
  }
}

interface Anchored {
  readonly node: Node
  readonly value: unknown
  /** How many values it stands for. */
  readonly size: number
}

/** How many values the documents of a text have so far, together. */
interface Size {
  values: number
}

/** Nodes to values. */
class Reader {
  readonly faults: Fault[] = []
  /** What each alias stands for. */
  readonly aliases = new Map<Node, Node>()
  private anchors = new Map<string, Anchored>()
  private readonly lineOf: (offset: number) => number | undefined
  private readonly counted: Size

  constructor(lineOf: (offset: number) => number | undefined, counted: Size) {
    this.lineOf = lineOf
    this.counted = counted
  }

  /** The value of a whole document. */
  read(contents: Node): unknown {
    this.anchors = new Map()
    return this.value(contents)
  }

  private value(node: Node): unknown {
    const before = this.counted.values
    this.add(1, node)
    if (isAlias(node)) return this.alias(node, node.source)
    const value = this.own(node)
    const { anchor } = node as { anchor?: string }
    // Only from here on: an alias inside of what it names would have no end.
    if (anchor !== undefined) this.anchors.set(anchor, { node, value, size: this.counted.values - before })
    return value
  }

  private own(node: Node): unknown {
    const { tag } = node as { tag?: string }
    // A lone "!" only says that a value is a text.
    if (tag !== undefined && tag !== "!" && !TAGS.has(tag)) {
      this.fault(startOf(node), `the tag ${tag.replace("tag:yaml.org,2002:", "!!")} is not known here`)
      return null
    }
    if (isScalar(node)) return node.value
    if (isSeq<Node>(node)) return node.items.map((item) => this.value(item))
    return isMap<Node, Node | null>(node) ? this.object(node.items) : null
  }

  private object(pairs: readonly Pair<Node, Node | null>[]): unknown {
    const object: Record<string, unknown> = {}
    const known = new Map<string, number>()
    for (const { key, value } of pairs) {
      const at = startOf(key)
      const name = isScalar(key) ? String(key.value) : undefined
      const problem = name === undefined ? "a name has to be a plain text" : this.nameProblem(name, known)
      if (problem !== undefined) this.fault(at, problem)
      if (name === undefined || problem !== undefined) continue
      known.set(name, at)
      object[name] = value === null ? null : this.value(value)
    }
    return object
  }

  private nameProblem(name: string, known: ReadonlyMap<string, number>): string | undefined {
    const first = known.get(name)
    if (first !== undefined) return `${JSON.stringify(name)} stands here twice, first in line ${this.lineOf(first)}`
    if (name === "<<") return 'merging with "<<" is not a part of YAML 1.2: write the options out'
    return name === "__proto__" ? "__proto__ cannot be a name" : undefined
  }

  private fault(offset: number, message: string): void {
    this.faults.push({ offset, message })
  }

  private alias(node: Node, name: string): unknown {
    const anchored = this.anchors.get(name)
    if (anchored === undefined) {
      const known = this.faults.length < MOST_PROBLEMS ? didYouMean(name, this.anchors.keys()) : ""
      this.fault(startOf(node), `*${name} names nothing: there is no &${name} before it${known}`)
      return null
    }
    this.aliases.set(node, anchored.node)
    this.add(anchored.size - 1, node)
    return anchored.value
  }

  private add(count: number, node: Node): void {
    this.counted.values += count
    if (this.counted.values > MOST_VALUES)
      throw new TooMuch(startOf(node), `more than ${MOST_VALUES} values`, "what an alias stands for counts each time")
  }
}

/** The offset of what lies too deep, found without recursion. */
function tooDeep(tokens: readonly CST.Token[]): number | undefined {
  const stack: { token: CST.Token; depth: number }[] = tokens.map((token) => ({ token, depth: 0 }))
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    const { depth, token } = at
    if (depth > DEEPEST) return token.offset
    if (token.type === "document" && token.value !== undefined) stack.push({ token: token.value, depth })
    if (!("items" in token)) continue
    for (const item of token.items) {
      for (const inner of [item.key, item.value]) {
        if (inner !== undefined && inner !== null) stack.push({ token: inner, depth: depth + 1 })
      }
    }
  }
  return undefined
}

function offsetOf(
  contents: Node | null,
  path: readonly PropertyKey[],
  what: "key" | "value",
  aliases: ReadonlyMap<Node, Node>,
): number {
  let node: Node | null = contents
  let offset = startOf(contents)
  for (const step of path) {
    if (isAlias(node)) node = aliases.get(node) ?? null
    if (isMap<Node, Node | null>(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step))
      if (pair === undefined) break
      node = pair.value
      offset = startOf(what === "key" || !isWritten(node) ? pair.key : node)
    } else if (isSeq<Node>(node)) {
      node = node.items[Number(step)] ?? null
      if (node === null) break
      offset = startOf(node)
    } else break
  }
  return offset
}

/** Whether it is a value of its own, and not a way to others, or nothing at all. */
function isWritten(node: Node | null): boolean {
  return isScalar(node) && node.value !== null
}

function startOf(node: Node | null): number {
  return node?.range?.[0] ?? 0
}

/** The first fault of each line, up to {@link MOST_PROBLEMS}. */
function firstOfLines(faults: readonly Fault[], lineOf: (offset: number) => number | undefined): Fault[] {
  const lines = new Map<number | undefined, Fault>()
  for (const fault of faults) {
    const line = lineOf(fault.offset)
    if (!lines.has(line)) lines.set(line, fault)
    if (lines.size === MOST_PROBLEMS) break
  }
  return [...lines.values()]
}

function refused(problem: Diagnostic): YamlText {
  return { documents: [], problems: [problem] }
}
