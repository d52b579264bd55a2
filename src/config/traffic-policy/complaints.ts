// What is wrong with a policy, each at its place, in the order of the text.
import { diagnostic, type Diagnostic, type Place } from "../diagnostic.ts"
import type { Document } from "../manifests/document.ts"
import { shownPath } from "../shown-path.ts"
import type { CelProblem, Needs } from "./cel/index.ts"
import { placeInText } from "./text-place.ts"

/** 20: all that is wrong is said at once, but not without end. */
const MOST_PROBLEMS = 20

export type Path = readonly PropertyKey[]

/** Where the value at a path of the policy stands, or its key. */
export type Locate = (path: Path, what?: "key" | "value") => Place

export interface About {
  /** ngrok's number for it, without `ERR_NGROK_`. */
  readonly code?: number | string
  readonly hint?: string | undefined
  readonly what?: "key" | "value"
}

/** What expressions find beside the connection, where it was opened. */
export type Lookup = "geo" | "categories" | "secrets"
const LOOKUPS = ["geo", "categories", "secrets"] as const satisfies readonly Lookup[]
/** Without them a rule would never count, or fail for each connection. */
const MISSING: Readonly<Record<Lookup, readonly [message: string, about: About]>> = {
  geo: [
    "where an address is can only be asked with a database",
    { hint: "start with --geoip FOLDER (MaxMind's *.mmdb files)" },
  ],
  categories: [
    "categories of addresses can only be asked with lists of them",
    { hint: "start with --ip-categories FOLDER: blocklist.mine.txt is a category" },
  ],
  secrets: [
    "secrets.get() can only be asked with a folder of secrets",
    { hint: "start with --secrets FOLDER: FOLDER/vault/name is a secret" },
  ],
}

export class Complaints {
  readonly document: Document
  /** Where the policy stands in the document. */
  private readonly base: Path
  private readonly locate: Locate
  private readonly errors: Diagnostic[] = []
  private readonly cautions: Diagnostic[] = []
  /** What is said where there is nothing to look up in: once for each. */
  private readonly missing = new Map<Lookup, Diagnostic>()
  private lines: readonly string[] | undefined

  constructor(document: Document, base: Path, locate: Locate) {
    this.document = document
    this.base = base
    this.locate = locate
  }

  get any(): boolean {
    return this.errors.length > 0
  }

  get errorCount(): number {
    return this.errors.length
  }

  place(path: Path, what?: "key" | "value"): Place {
    return this.locate(path, what)
  }

  /** `guard.yaml:5:9`, for messages that are read elsewhere. */
  shownPlace(path: Path): string {
    const { column, line } = this.locate(path)
    const { file } = this.document.source
    return line === undefined ? file : `${file}:${line}${column === undefined ? "" : `:${column}`}`
  }

  error(path: Path, message: string, about: About = {}): void {
    this.errors.push(this.diagnostic(path, message, about))
  }

  warn(path: Path, message: string, about: About = {}): void {
    this.cautions.push(this.diagnostic(path, message, about))
  }

  /** Notes what an expression looks up. */
  looksUp(path: Path, needs: Needs): void {
    for (const lookup of LOOKUPS)
      if (needs[lookup] && !this.missing.has(lookup))
        this.missing.set(lookup, this.diagnostic(path, ...MISSING[lookup]))
  }

  get lookups(): ReadonlyMap<Lookup, Diagnostic> {
    return this.missing
  }

  /** What is wrong with a text that is an expression, or has some. */
  inText(path: Path, text: string, problems: readonly CelProblem[]): void {
    for (const { code, hint, message, offset, severity } of problems) {
      const place = this.inside(path, text, offset)
      const found = this.diagnostic(path, message, { code, hint }, place)
      if (severity === "error") this.errors.push(found)
      else this.cautions.push(found)
    }
  }

  /** The place of a character of the text at this path. */
  inside(path: Path, text: string, offset: number): Place {
    this.lines ??= this.document.source.shown.split(/\r?\n/)
    return placeInText(this.lines, this.locate(path), text, offset)
  }

  diagnostic(path: Path, message: string, { code, hint, what }: About, place = this.locate(path, what)): Diagnostic {
    const at = shownPath([...this.base, ...path])
    return diagnostic(
      place,
      `${at === "" ? "" : `${at}: `}${message}${shownCode(code)}`,
      hint,
      this.document.source.shown,
    )
  }

  problems(): readonly Diagnostic[] {
    return this.inOrder(this.errors)
  }

  warnings(): readonly Diagnostic[] {
    return this.inOrder(this.cautions)
  }

  private inOrder(found: readonly Diagnostic[]): readonly Diagnostic[] {
    const sorted = found.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
    const more = sorted.length - MOST_PROBLEMS
    if (more <= 0) return sorted
    const rest = diagnostic({ path: this.document.source.path }, `and ${more} more problems in this policy`)
    return [...sorted.slice(0, MOST_PROBLEMS), rest]
  }
}

function shownCode(code: number | string | undefined): string {
  return code === undefined ? "" : ` (${typeof code === "number" ? `ERR_NGROK_${code}` : code})`
}
