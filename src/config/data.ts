// Imported data files: parsed here, since Bun takes them from a plugin only as values.
import { diagnostic, type Diagnostic } from "./diagnostic.ts"

export type DataKind = "json" | "toml" | "yaml" | "text"

/** The exports of a data file: its value as default, and the fields of an object by name. */
export function dataExports(kind: DataKind, text: string): Record<string, unknown> {
  const value = parseData(kind, text)
  const named = typeof value === "object" && value !== null && !Array.isArray(value) ? value : {}
  return { ...named, default: value }
}

/** What is wrong with a data file, if anything. */
export function dataProblem(path: string, kind: DataKind, text: string): Diagnostic[] {
  try {
    parseData(kind, text)
    return []
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return [diagnostic({ path, ...(kind === "json" ? jsonPosition(text) : {}) }, message, undefined, text)]
  }
}

function parseData(kind: DataKind, text: string): unknown {
  if (kind === "json") return JSON.parse(text)
  if (kind === "toml") return Bun.TOML.parse(text)
  return kind === "yaml" ? Bun.YAML.parse(text) : text
}

/** JSON.parse tells no position, but Bun's JavaScript parser stops at the same place. */
function jsonPosition(text: string): { line?: number; column?: number } {
  try {
    new Bun.Transpiler({ loader: "js" }).scan(`export default\n${text}`)
    return {}
  } catch (error) {
    const first = error instanceof AggregateError ? error.errors[0] : error
    const position = (first as Partial<BuildMessage>).position
    return position ? { line: position.line - 1, column: position.column } : {}
  }
}
