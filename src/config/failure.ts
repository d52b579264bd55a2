// Turns what Bun and policies throw while a file is parsed, linked, evaluated or set up into diagnostics.
import { dirname } from "node:path"
import { didYouMean } from "../policy/suggest.ts"
import { diagnostic, placeAt, type Diagnostic, type Place } from "./diagnostic.ts"
import type { Fault } from "./exports.ts"
import type { Held, Instance, Instances } from "./instances.ts"
import type { Module } from "./module-graph.ts"
import { isCode } from "./module-kind.ts"
import { gatewayModules, withoutVersions } from "./plugin.ts"
import { exportOffset, ImportNotFound, originalColumn, type Shift } from "./specifiers.ts"

/** 5: one slip makes many errors, and the first lines name it. */
const MOST_PER_FILE = 5

interface BuildError {
  readonly message: string
  readonly position: { readonly line: number; readonly column: number; readonly file: string }
}

/** What the parser threw about one file. */
export function parseFailures(path: string, text: string, error: unknown): Diagnostic[] {
  if (error instanceof ImportNotFound) {
    const hint = "write the specifier as a plain string, without escapes"
    return [diagnostic({ path }, `the import of "${error.message}" cannot be followed`, hint)]
  }
  const found = buildErrors(error)
  if (found.length === 0) return [diagnostic({ path }, messageOf(error))]
  return found.map(({ message, position }) => diagnostic({ path, ...lineOf(position, []) }, message, undefined, text))
}

/** What the import of a policy threw. */
export async function evaluationFailures(error: unknown, held: Held, instances: Instances): Promise<Diagnostic[]> {
  const built = buildErrors(error)
  if (built.length > 0) {
    return built.map(({ message, position }) => {
      const { module, shifts } = instances.get(position.file) ?? held.entry
      return diagnostic({ path: module.path, ...lineOf(position, shifts) }, message, undefined, module.text)
    })
  }
  // Bun tells these two by their messages alone, and without a position.
  const message = error instanceof Error || isMessage(error) ? String(error.message) : ""
  const named = /^export(?:ed)?(?: named)? '([^']+)' not found in (?:module )?'([^']+)'/i.exec(message)
  if (error instanceof SyntaxError && named !== null) return [await missingExport(named[1]!, named[2]!, held)]
  const unresolved = /^Cannot find (?:package|module) '([^']+)'/.exec(message)?.[1]
  const site = unresolved === undefined ? undefined : findImport(held, isUnresolved(unresolved))
  if (site !== undefined) return [at(site, `cannot find "${site.specifier}"`)]
  return [thrown(error, held, instances, error instanceof Error ? "" : "threw ")]
}

/**
 * Something was thrown by the policy's own code. The place is the innermost line of the stack that is in its files, else
 * `fallback`.
 */
export function thrown(
  error: unknown,
  held: Held,
  instances: Instances,
  what: string,
  fallback: Place = { path: held.entry.module.path },
): Diagnostic {
  const frame = error instanceof Error ? instances.frames(error.stack ?? "")[0] : undefined
  const { path, text } = (frame?.instance ?? held.entry).module
  const place = frame === undefined ? fallback : { path, line: frame.line, column: frame.column }
  return diagnostic(place, `${what}${thrownText(error)}`, undefined, text)
}

/** What is wrong with the exports of a policy file, at these exports. */
export function faultProblems(module: Module, faults: readonly Fault[]): Diagnostic[] {
  const { path, text } = module
  if (text.trim() === "") return [diagnostic({ path }, "the file is empty")]
  const commonJs = /\bmodule\.exports\b|\bexports\.\w+\s*=/.test(text)
  return faults.map(({ hint, message, name }) =>
    diagnostic(
      placeOfExport(module, name),
      message,
      commonJs ? "a policy is an ES module: write `export function ...` instead of `module.exports`" : hint,
      text,
    ),
  )
}

/** Where a module exports a name, or where its default export has a field of that name. */
export function placeOfExport({ kind, path, text }: Module, name: string | undefined): Place {
  if (name === undefined || !isCode(kind)) return { path }
  const field = new RegExp(`(?<![\\w$.])["']?${name.replaceAll("$", "\\$")}["']?\\s*[:(,}]`)
  const offset = exportOffset(text, kind, name) ?? field.exec(text)?.index ?? -1
  return offset < 0 ? { path } : placeAt(path, text, offset)
}

/** The message of an error, without versions in its paths. */
export function messageOf(error: unknown): string {
  return withoutVersions(error instanceof Error || isMessage(error) ? String(error.message) : String(error))
}

function thrownText(error: unknown): string {
  if (error instanceof Error) return withoutVersions(`${error.name}: ${error.message}`)
  return withoutVersions(Bun.inspect(error, { depth: 1 }))
}

/** `target` is a versioned specifier, or the name of a package. */
async function missingExport(name: string, target: string, held: Held): Promise<Diagnostic> {
  const own = gatewayModules().get(target)
  const site = findImport(held, (imported, specifier) => (imported?.specifier ?? specifier) === target, name)
  const known = own === undefined ? site?.imported?.module.exports : Object.keys(await import(own))
  const shown = site?.specifier ?? withoutVersions(target)
  const message = `"${shown}" has no export ${name}${didYouMean(name, known ?? [])}`
  if (site === undefined) return diagnostic({ path: held.entry.module.path }, message)
  const hint =
    known?.includes(name) === false && own === undefined ? `if ${name} is a type, write \`import type\`` : undefined
  return at(site, message, hint)
}

/** Bun names the package only. That it is there has been seen before, so that asking again fetches nothing. */
function isUnresolved(name: string): (imported: Instance | undefined, specifier: string, module: Module) => boolean {
  return (imported, specifier, module) => {
    if (imported !== undefined || (specifier !== name && !specifier.startsWith(`${name}/`))) return false
    try {
      Bun.resolveSync(specifier, dirname(module.real))
      return false
    } catch {
      return true
    }
  }
}

interface FoundImport {
  readonly module: Module
  readonly imported: Instance | undefined
  readonly specifier: string
  readonly offset: number
}

/** Finds the import statement that an error is about; with `name`, one that names it, at the name. */
function findImport(
  held: Held,
  wanted: (imported: Instance | undefined, specifier: string, module: Module) => boolean,
  name?: string,
): FoundImport | undefined {
  let fallback: FoundImport | undefined
  for (const { module, links } of held.all) {
    for (const site of module.imports) {
      const imported = links.get(site)
      if (!wanted(imported, site.specifier, module)) continue
      const found = { module, imported, specifier: site.specifier, offset: site.start }
      const clause = name === undefined ? -1 : offsetInClause(module.text, site.start, name)
      if (clause >= 0) return { ...found, offset: clause }
      fallback ??= found
    }
  }
  return fallback
}

/** Where the name stands between the `import` or `export` before the specifier and the specifier. */
function offsetInClause(text: string, end: number, name: string): number {
  const start = Math.max(text.lastIndexOf("import", end), text.lastIndexOf("export", end))
  const match = new RegExp(`(?<![\\w$])${name.replaceAll("$", "\\$")}(?![\\w$])`).exec(
    text.slice(Math.max(start, 0), end),
  )
  return match === null ? -1 : Math.max(start, 0) + match.index
}

function at({ module, offset }: FoundImport, message: string, hint?: string): Diagnostic {
  return diagnostic(placeAt(module.path, module.text, offset), message, hint, module.text)
}

/** The errors of Bun's parser, the first of each line. */
function buildErrors(error: unknown): BuildError[] {
  const all: unknown[] = error instanceof AggregateError ? error.errors : [error]
  const lines = new Set<string>()
  return all.filter(isBuildError).filter(({ position }) => {
    const line = `${position.file}:${position.line}`
    return !lines.has(line) && lines.size < MOST_PER_FILE && lines.add(line)
  })
}

function lineOf(position: BuildError["position"], shifts: readonly Shift[]): { line: number; column: number } {
  return { line: position.line, column: originalColumn(shifts, position.line, position.column) }
}

function isBuildError(error: unknown): error is BuildError {
  return isMessage(error) && "position" in error && typeof error.position === "object" && error.position !== null
}

function isMessage(error: unknown): error is { message: unknown } {
  return typeof error === "object" && error !== null && "message" in error
}
