// What kind of module a file is, by its extension or by the `type` of the import attributes.
import { extname } from "node:path"
import type { DataKind } from "./data.ts"
import type { CodeLoader } from "./specifiers.ts"

/** Code is run; data has a value. */
export type ModuleKind = CodeLoader | DataKind

const KINDS: Readonly<Record<string, ModuleKind>> = {
  ".ts": "ts",
  ".mts": "ts",
  ".cts": "ts",
  ".tsx": "tsx",
  ".js": "js",
  ".mjs": "js",
  ".cjs": "js",
  ".jsx": "jsx",
  ".json": "json",
  ".toml": "toml",
  ".yaml": "yaml",
  ".yml": "yaml",
  ".txt": "text",
}
const DATA = new Set<string>(["json", "toml", "yaml", "text"])

export function isCode(kind: ModuleKind): kind is CodeLoader {
  return !DATA.has(kind)
}

/** `undefined`: left to Bun, and not followed. */
export function kindOf(path: string, type: string | undefined): ModuleKind | undefined {
  if (type === undefined) return KINDS[extname(path)]
  return DATA.has(type) ? (type as ModuleKind) : undefined
}
