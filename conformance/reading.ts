// Walks through a document of expectations: every value knows where it stands, and every mistake says so.
import { basename } from "node:path"
import type { YamlDocument } from "../src/config/yaml.ts"
import { didYouMean } from "../src/policy/suggest.ts"

/** A value is not what it has to be. The message begins with its place. */
export class Misread extends Error {
  readonly path: readonly string[]
  /** The message without the place. */
  readonly plain: string
  constructor(place: string, path: readonly string[], plain: string) {
    super(`${place}: ${plain}`)
    this.path = path
    this.plain = plain
  }
}

export type Tell = (fault: string) => void

export class Value {
  readonly value: unknown
  readonly path: readonly string[]
  private readonly document: YamlDocument
  private readonly tell: Tell

  /** @param tell hears of what is unknown, but stands in nobody's way */
  constructor(document: YamlDocument, tell: Tell, path: readonly string[] = [], value: unknown = document.value) {
    this.document = document
    this.tell = tell
    this.path = path
    this.value = value
  }

  /** The same value for somebody else's ears. */
  heardBy(tell: Tell): Value {
    return new Value(this.document, tell, this.path, this.value)
  }

  place(what: "key" | "value" = "value"): string {
    const { column, line, path } = this.document.place(this.path, what)
    return `${basename(path)}:${line}:${column}`
  }

  fail(message: string): Misread {
    const at = this.path.join(".")
    return new Misread(this.place(), this.path, `${at === "" ? "" : `${at}: `}${message}`)
  }

  expected(what: string): Misread {
    return this.fail(`expected ${what}, found ${JSON.stringify(this.value)?.slice(0, 60)}`)
  }

  /** What an object has, in its order. */
  fields(): ReadonlyMap<string, Value> {
    const { value } = this
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw this.expected("an object")
    return new Map(Object.entries(value).map(([name, inner]) => [name, this.inner(name, inner)]))
  }

  /** {@link fields}; tells of those that are none of `known`. */
  known(known: readonly string[]): ReadonlyMap<string, Value> {
    const fields = this.fields()
    for (const [name, field] of fields) if (!known.includes(name)) field.unknown(known)
    return fields
  }

  unknown(known: readonly string[]): void {
    const name = this.path.at(-1) ?? ""
    this.tell(`${this.place("key")}: the key ${JSON.stringify(name)} is not known here${didYouMean(name, known)}`)
  }

  items(): readonly Value[] {
    if (!Array.isArray(this.value)) throw this.expected("a list")
    return this.value.map((item, i) => this.inner(String(i), item))
  }

  /** The items of a list, or the one value that stands for a list. */
  some(): readonly Value[] {
    return Array.isArray(this.value) ? this.items() : [this]
  }

  text(): string {
    if (typeof this.value !== "string" || this.value === "") throw this.expected("a text")
    return this.value
  }

  texts(): readonly string[] {
    return this.some().map((item) => item.text())
  }

  number(least = 0): number {
    if (typeof this.value !== "number" || !(this.value >= least)) throw this.expected(`a number, at least ${least}`)
    return this.value
  }

  count(least = 0): number {
    const value = this.number(least)
    if (!Number.isInteger(value)) throw this.expected("a whole number")
    return value
  }

  port(): number {
    const value = this.count(1)
    if (value > 65_535) throw this.expected("a port")
    return value
  }

  flag(): boolean {
    if (typeof this.value !== "boolean") throw this.expected("true or false")
    return this.value
  }

  get isObject(): boolean {
    return typeof this.value === "object" && this.value !== null && !Array.isArray(this.value)
  }

  private inner(step: string, value: unknown): Value {
    return new Value(this.document, this.tell, [...this.path, step], value)
  }
}
