// What an import specifier means, decided before Bun is asked: Bun would look for an unknown package in the registry,
// and remembers which files a folder had.
import { existsSync, readdirSync } from "node:fs"
import { isBuiltin } from "node:module"
import { basename, dirname, extname, join, resolve as resolvePath } from "node:path"
import { fileURLToPath } from "node:url"
import { didYouMean, suggest } from "../policy/suggest.ts"
import { lookAt } from "./look-at.ts"
import { gatewayModules } from "./plugin.ts"

export type Resolution =
  /** A file that the loader reads itself. */
  | { readonly kind: "file"; readonly path: string }
  /** The gateway's own modules, builtins, and packages of a node_modules folder: left to Bun. */
  | { readonly kind: "external" }
  /** `wanted`: where the file would be. */
  | { readonly kind: "missing"; readonly message: string; readonly hint?: string; readonly wanted?: string }

const EXTENSIONS = [".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", ".json"]
/** As in TypeScript, `./x.js` may mean the `x.ts` that it would be compiled from. */
const COMPILED_FROM: Readonly<Record<string, readonly string[]>> = {
  ".js": [".ts", ".tsx"],
  ".jsx": [".tsx"],
  ".mjs": [".mts"],
  ".cjs": [".cts"],
}

/** Resolves a specifier as seen from a file in `folder` (a real path). */
export function resolve(specifier: string, folder: string): Resolution {
  if (/^\.{0,2}\/|^\.\.?$/.test(specifier)) return file(specifier, resolvePath(folder, specifier))
  if (/^file:\/\/\/(?!.*%2f)/i.test(specifier)) return file(specifier, fileURLToPath(specifier))
  if (isBuiltin(specifier) || /^(bun|data):/.test(specifier) || specifier === "bun") return { kind: "external" }
  if (gatewayModules().has(specifier)) return { kind: "external" }
  if (/^(tidegate|effect)(\/|$)/.test(specifier)) return unknownModule(specifier)
  if (specifier.startsWith("#")) return alias(specifier, folder)
  if (/^[a-z][a-z+.-]*:/i.test(specifier)) {
    return { kind: "missing", message: `cannot import "${specifier}": code never comes in over the network` }
  }
  return packageOf(specifier, folder)
}

function file(specifier: string, wanted: string): Resolution {
  const path = candidates(wanted).find(isFile)
  if (path !== undefined) return { kind: "file", path }
  const nearest = suggest(basename(wanted), namesIn(dirname(wanted)))
  const meant = nearest === undefined ? "" : specifier.slice(0, specifier.lastIndexOf("/") + 1) + nearest
  const message = `cannot find "${specifier}"${meant === "" ? "" : `; did you mean "${meant}"?`}`
  return { kind: "missing", message, hint: `there is no file ${wanted}`, wanted }
}

function candidates(wanted: string): string[] {
  const extension = extname(wanted)
  const stem = wanted.slice(0, wanted.length - extension.length)
  return [
    wanted,
    ...(COMPILED_FROM[extension] ?? []).map((source) => stem + source),
    ...EXTENSIONS.map((added) => wanted + added),
    ...EXTENSIONS.map((added) => join(wanted, `index${added}`)),
  ]
}

function isFile(path: string): boolean {
  return lookAt(path)?.isFile() ?? false
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    // The folder is missing too: there is no name to suggest.
    return []
  }
}

function unknownModule(specifier: string): Resolution {
  const names = [...gatewayModules().keys()]
  return { kind: "missing", message: `there is no module "${specifier}"${didYouMean(specifier, names)}` }
}

function alias(specifier: string, folder: string): Resolution {
  try {
    return { kind: "file", path: Bun.resolveSync(specifier, folder) }
  } catch {
    const message = `cannot find "${specifier}" in the imports of a package.json above this file`
    return { kind: "missing", message }
  }
}

function packageOf(specifier: string, folder: string): Resolution {
  const [first = "", second = ""] = specifier.split("/")
  const name = first.startsWith("@") ? `${first}/${second}` : first
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, "node_modules", name))) return { kind: "external" }
    if (at === dirname(at)) break
  }
  const here = candidates(join(folder, specifier)).find(isFile)
  const own = suggest(specifier, ["tidegate", "tidegate/testing", "effect"])
  const meant = own ?? (here === undefined ? undefined : `./${specifier}`)
  return {
    kind: "missing",
    message: `cannot find the package "${name}"${meant === undefined ? "" : `; did you mean "${meant}"?`}`,
    hint: `no node_modules folder from ${folder} upwards has it, and nothing is installed by itself`,
  }
}
