// The fields of an action's `config`: each is taken by its name and kind, what is wrong is said at its place, and what
// nobody took is unknown.
import { describe } from "../../policy/describe.ts"
import { milliseconds } from "../../policy/duration.ts"
import { didYouMean } from "../../policy/suggest.ts"
import { grouped } from "../schema/field.ts"
import { compileTemplate, type Template } from "./cel/index.ts"
import type { About, Complaints, Path } from "./complaints.ts"

/** Not there, or wrong and complained of. */
type Maybe<Value> = Value | undefined

export interface Range {
  readonly from: number
  readonly to: number
}

export class Fields {
  readonly complaints: Complaints
  /** Of the config. */
  readonly path: Path
  readonly action: string
  private readonly values: Readonly<Record<string, unknown>>
  private readonly taken = new Set<string>()
  /** Looked at only to say why there is none. */
  private readonly refused = new Set<string>()

  constructor(complaints: Complaints, path: Path, action: string, values: Readonly<Record<string, unknown>>) {
    this.complaints = complaints
    this.path = path
    this.action = action
    this.values = values
  }

  at(name: string): Path {
    return [...this.path, name]
  }

  /** What is written, if anything is; `null` is nothing. */
  get(name: string): unknown {
    this.taken.add(name)
    const value = Object.hasOwn(this.values, name) ? this.values[name] : undefined
    return value === null ? undefined : value
  }

  has(name: string): boolean {
    return this.get(name) !== undefined
  }

  error(name: string, message: string, about: About = {}): undefined {
    this.complaints.error(this.at(name), message, about)
    return undefined
  }

  warn(name: string, message: string, about: About = {}): void {
    this.complaints.warn(this.at(name), message, about)
  }

  required(name: string, expected: string): boolean {
    if (this.has(name)) return true
    this.complaints.error(this.path, `${name} is missing: expected ${expected}`, { code: 2234 })
    return false
  }

  flag(name: string, otherwise: boolean): boolean {
    const value = this.get(name)
    if (value === undefined || typeof value === "boolean") return value ?? otherwise
    this.error(name, `expected true or false, found ${describe(value)}`, { code: 2203 })
    return otherwise
  }

  whole(name: string, { from, to }: Range): Maybe<number> {
    return this.within(name, { from, to }, (value) => Number.isInteger(value), "a whole number")
  }

  number(name: string, { from, to }: Range): Maybe<number> {
    return this.within(name, { from, to }, (value) => Number.isFinite(value), "a number")
  }

  private within(name: string, { from, to }: Range, fits: (value: number) => boolean, kind: string): Maybe<number> {
    const value = this.get(name)
    if (value === undefined) return undefined
    const expected = `expected ${kind} from ${grouped(from)} to ${grouped(to)}, found ${describe(value)}`
    if (typeof value !== "number" || !fits(value)) return this.error(name, expected, { code: 2203 })
    return value >= from && value <= to ? value : this.error(name, expected, { code: 2215 })
  }

  /** Milliseconds. */
  duration(name: string, { from, to }: Range, example: string): Maybe<number> {
    const value = this.get(name)
    if (value === undefined) return undefined
    const found = durationOf(value)
    const expected = `expected a duration like ${JSON.stringify(example)}, from ${span(from)} to ${span(to)}, found ${describe(value)}`
    if (found === undefined) return this.error(name, expected, { code: 2228 })
    return found >= from && found <= to ? found : this.error(name, expected, { code: found > to ? 2225 : 2215 })
  }

  word<const Word extends string>(name: string, words: readonly Word[]): Maybe<Word> {
    const value = this.get(name)
    if (value === undefined) return undefined
    // YAML takes 1.2 for a number.
    const text = typeof value === "number" ? String(value) : value
    const known = words.find((word) => word === text)
    if (known !== undefined) return known
    const shown = words.map((word) => JSON.stringify(word)).join(words.length === 2 ? " or " : ", ")
    const near = typeof value === "string" ? didYouMean(value, words) : ""
    return this.error(name, `expected ${shown}, found ${describe(value)}${near}`, { code: 2222 })
  }

  text(name: string, { most, what = "a text" }: { readonly most: number; readonly what?: string }): Maybe<string> {
    const value = this.get(name)
    if (value === undefined) return undefined
    if (typeof value !== "string") return this.error(name, `expected ${what}, found ${describe(value)}`, { code: 2203 })
    if (value.trim() === "") return this.error(name, `expected ${what}, found an empty text`, { code: 2223 })
    if (value.length > most)
      return this.error(name, `${value.length} characters; at most ${grouped(most)}`, { code: 2221 })
    return value
  }

  /** A text that may have `${}`. */
  template(name: string, { most, what }: { readonly most: number; readonly what: string }): Maybe<Template> {
    const text = this.text(name, { most, what })
    return text === undefined ? undefined : this.compiled(this.at(name), text)
  }

  /** A list of texts that may have `${}`; or one that is a single `${}`, which gives the whole list. */
  templates(name: string, { most, what }: { readonly most: number; readonly what: string }): Maybe<Templates> {
    const value = this.get(name)
    if (value === undefined) return undefined
    if (typeof value === "string" && /^\s*\$\{[^]*\}\s*$/.test(value)) {
      const whole = this.compiled(this.at(name), value)
      return whole === undefined ? undefined : [{ template: whole, path: this.at(name) }]
    }
    if (!Array.isArray(value)) {
      const hint = typeof value === "string" ? `write a list: "- " before each ${what}` : undefined
      const found = typeof value === "string" ? "a text" : describe(value)
      return this.error(name, `expected a list of ${what}s, found ${found}`, { code: 2222, hint })
    }
    if (value.length === 0)
      return this.error(name, `expected at least one ${what}, found an empty list`, { code: 2223 })
    if (value.length > most)
      return this.error(name, `${value.length} entries; at most ${grouped(most)}`, { code: 2218 })
    const entries = value.map((entry: unknown, i) => this.entry([...this.at(name), i], entry, what))
    return entries.includes(undefined) ? undefined : entries.filter((entry) => entry !== undefined)
  }

  private entry(path: Path, value: unknown, what: string): Maybe<Templated> {
    if (typeof value !== "string" || value.trim() === "") {
      const found = value === "" ? "an empty text" : describe(value)
      this.complaints.error(path, `expected a ${what}, found ${found}`, { code: value === "" ? 2223 : 2203 })
      return undefined
    }
    const template = this.compiled(path, value)
    return template === undefined ? undefined : { template, path }
  }

  private compiled(path: Path, text: string): Maybe<Template> {
    const { problems, program } = compileTemplate(text)
    this.complaints.inText(path, text, problems)
    return program
  }

  /** Says of a field why there is none, by its name. */
  refuse(name: string, message: string, about: About = {}): void {
    if (!this.taken.has(name)) this.refused.add(name)
    if (!this.has(name)) return
    this.complaints.error(this.at(name), message, { code: 2203, what: "key", ...about })
  }

  /** To be called last: what nobody has asked for is unknown. */
  done(): void {
    for (const name of Object.keys(this.values)) {
      if (this.taken.has(name)) continue
      const known = [...this.taken].filter((one) => !this.refused.has(one))
      const near = didYouMean(name, known)
      const all = known.length === 0 ? `; ${this.action} has no fields` : `; known are ${known.join(", ")}`
      this.complaints.error(this.at(name), `${this.action} has no field ${JSON.stringify(name)}${near || all}`, {
        code: 2203,
        what: "key",
      })
    }
  }
}

export interface Templated {
  readonly template: Template
  readonly path: Path
}

export type Templates = readonly Templated[]

/** ngrok writes durations as Go does: `"90s"`, `"1m30s"`. */
function durationOf(value: unknown): number | undefined {
  const parts = typeof value === "string" ? /^(?:\d+(?:\.\d+)?(?:ms|h|m|s))+$/.exec(value) : null
  if (parts === null) return read(value)
  const found = [...parts[0].matchAll(/\d+(?:\.\d+)?(?:ms|h|m|s)/g)]
  return found.reduce<number | undefined>((sum, [part]) => {
    const one = read(part)
    return sum === undefined || one === undefined ? undefined : sum + one
  }, 0)
}

function read(value: unknown): number | undefined {
  try {
    return milliseconds(value, "")
  } catch {
    // That it cannot be read is all that is asked; the message names the whole range.
    return undefined
  }
}

function span(duration: number): string {
  for (const [size, unit] of [
    [864e5, "d"],
    [36e5, "h"],
    [6e4, "m"],
    [1e3, "s"],
  ] as const)
    if (duration >= size && duration % size === 0) return `${duration / size}${unit}`
  return `${duration}ms`
}
