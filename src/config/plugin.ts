// The one plugin that stands between policies and Bun's loader. It gives every policy the gateway's own `tidegate` and
// `effect`, wherever the folder is, and hands out versioned modules: the bytes that were read, not what is there now.
import { plugin, type OnLoadResult } from "bun"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"

/** What follows the path in a versioned specifier: `?h=`, the hash, and the number of the instance. */
export const VERSION = /\?h=[0-9a-f]{12}-\d+/

/**
 * 250: JavaScriptCore keeps the compiled code of 2,000 texts that nobody can import any more, 6 kB each. Dropping it
 * costs running code a millisecond or so to be compiled again.
 */
const SHRINK_EVERY = 250

let withdrawn = 0
const sources = new Map<string, () => OnLoadResult>()
let provided: ReadonlyMap<string, string> | undefined

/** Registers the plugin, once per process. Imports nothing yet: a policy without Effect does not pay for it. */
export function install(): void {
  if (provided !== undefined) return
  const names = gatewayModules()
  provided = names
  plugin({
    name: "tidegate",
    setup(build) {
      for (const [name, path] of names) {
        build.module(name, async () => ({ exports: await import(path), loader: "object" }))
      }
      const versioned = new RegExp(`${VERSION.source}$`)
      // Without this Bun asks its own cache of folders, which knows neither a new file nor one behind a swapped link.
      build.onResolve({ filter: versioned }, ({ path }) => ({ path }))
      build.onLoad({ filter: versioned }, ({ path }) => {
        const source = sources.get(path)
        if (source === undefined) throw new Error(`this version of the policy is gone: ${withoutVersions(path)}`)
        return source()
      })
    },
  })
}

/** What policies import from the gateway, by name, with the path of the gateway's own copy. */
export function gatewayModules(): ReadonlyMap<string, string> {
  return provided ?? new Map([...ownModules(), ...effectModules()])
}

/** Gives Bun's loader the source of a versioned module. */
export function provide(specifier: string, source: () => OnLoadResult): void {
  sources.set(specifier, source)
}

/** Forgets a versioned module: its source here, and its code in Bun's cache. Who still holds its values keeps them. */
export function withdraw(specifier: string): void {
  sources.delete(specifier)
  delete require.cache[specifier]
  if (++withdrawn % SHRINK_EVERY === 0) Bun.shrink()
}

/** A message or a stack as it is shown to people. */
export function withoutVersions(text: string): string {
  return text.replace(new RegExp(VERSION.source, "g"), "")
}

function ownModules(): [string, string][] {
  const src = dirname(import.meta.dir)
  return [
    ["tidegate", join(src, "index.ts")],
    ["tidegate/testing", join(src, "testing.ts")],
  ]
}

/** Every public module of effect: its `exports`, with the one pattern among them spelt out. */
function effectModules(): [string, string][] {
  const manifest = Bun.resolveSync("effect/package.json", import.meta.dir)
  const home = dirname(manifest)
  const { exports } = JSON.parse(readFileSync(manifest, "utf8")) as { exports: Record<string, unknown> }
  const modules: [string, string][] = []
  for (const [key, target] of Object.entries(exports)) {
    if (typeof target !== "string" || !target.endsWith(".js")) continue
    if (!key.includes("*")) modules.push([join("effect", key), join(home, target)])
    else modules.push(...matching(home, target))
  }
  return modules
}

function matching(home: string, target: string): [string, string][] {
  const folder = join(home, dirname(target))
  return (readdirSync(folder, { recursive: true }) as string[])
    .filter((file) => file.endsWith(".js") && !/(^|\/)(internal\/|index\.js$)/.test(file))
    .map((file) => [`effect/${file.slice(0, -3)}`, join(folder, file)])
}
