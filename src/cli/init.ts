// `tidegate init`: writes a first policy, a test for it, and what editors, TypeScript and Deno need to know.
// Never overwrites anything.
import { existsSync } from "node:fs"
import { mkdir, realpath, writeFile } from "node:fs/promises"
import { dirname, join, relative, resolve } from "node:path"
import { shownPath } from "../config/diagnostic.ts"
import { printable } from "../observe/printable.ts"
import { fail, paintErr, paintOut, complain, say } from "./say.ts"
import { STRICT, STRICTNESS } from "./types.ts"
import effect from "effect/package.json" with { type: "json" }

const POLICY = `// Asked about every connection to 127.0.0.1:9000; try it with: nc 127.0.0.1 9000
import { deny, respond, type Connection } from "tidegate"

export const listen = "tcp://127.0.0.1:9000"

export function on_tcp_connect(connection: Connection) {
  if (!connection.client.within("127.0.0.0/8")) return deny("not from this machine")
  // To relay the connection instead: return route("tcp://db.internal:5432")
  return respond(\`Hello \${connection.client.address}, this is Tidegate.\\n\`)
}
`

const TEST = `import assert from "node:assert/strict"
import { test } from "node:test"
import { deny } from "tidegate"
import { bodyText, connect } from "tidegate/testing"
import * as hello from "./hello.ts"

test("greets a client on this machine", async () => {
  const { decision } = await connect(hello, { from: "127.0.0.1", to: "tcp://127.0.0.1:9000" })
  assert.equal(await bodyText(decision), "Hello 127.0.0.1, this is Tidegate.\\n")
})

test("denies everybody else", async () => {
  const { decision } = await connect(hello, { from: "203.0.113.9", to: "tcp://127.0.0.1:9000" })
  assert.deepEqual(decision, deny("not from this machine"))
})
`

/** Where the gateway is, as seen from a folder of policies. */
interface Surroundings {
  readonly folder: string
  /** The gateway's package. */
  readonly home: string
  /** The folder itself or the nearest above it with a package.json or node_modules; `undefined` where there is none. */
  readonly root: string | undefined
}

export async function init(options: { readonly folder: string }): Promise<number> {
  const folder = resolve(options.folder)
  try {
    await mkdir(folder, { recursive: true })
    const around = await surroundings(folder)
    const files = {
      "hello.ts": POLICY,
      "hello.test.ts": TEST,
      "tsconfig.json": json(tsconfig(around)),
      "deno.json": json(denoConfig(around)),
    }
    for (const [name, text] of Object.entries(files)) await writeNew(join(folder, name), text)
  } catch (error) {
    return fail(`could not write ${options.folder}: ${error instanceof Error ? error.message : String(error)}`)
  }
  const named = options.folder === "policies" ? "" : ` ${printable(options.folder)}`
  say(`
Next:
  ${command()} check${named}    is everything right with the policies?
  ${command()} test${named}     run their tests
  ${command()} serve${named}    open their listeners; then, elsewhere: nc 127.0.0.1 9000`)
  return 0
}

async function writeNew(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { flag: "wx" })
    say(`${paintOut("green", "wrote")} ${printable(shownPath(path))}`)
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error
    complain(`${paintErr("yellow", "kept")}  ${printable(shownPath(path))}, which was there already`)
  }
}

async function surroundings(path: string): Promise<Surroundings> {
  const folder = await realpath(path)
  const home = await realpath(resolve(import.meta.dir, "../.."))
  let root = folder
  while (!existsSync(join(root, "package.json")) && !existsSync(join(root, "node_modules"))) {
    if (dirname(root) === root) return { folder, home, root: undefined }
    root = dirname(root)
  }
  return { folder, home, root }
}

/** Relative when both are below the same root, so that the project can be moved and shared. */
function pathTo({ folder, root }: Surroundings, path: string): string {
  if (root === undefined || !path.startsWith(`${root}/`)) return path
  const way = relative(folder, path)
  return way.startsWith(".") ? way : `./${way}`
}

/** Whether a package is found from the folder itself, without being told where it is. */
function isInstalled({ root }: Surroundings, name: string): boolean {
  return root !== undefined && existsSync(join(root, "node_modules", name, "package.json"))
}

function tsconfig(around: Surroundings): object {
  const types = join(around.home, "node_modules/@types")
  const known = isInstalled(around, "@types/bun") || existsSync(join(types, "bun"))
  const effectHome = dirname(Bun.resolveSync("effect/package.json", import.meta.dir))
  return {
    compilerOptions: {
      ...STRICT,
      lib: known ? ["ESNext"] : ["ESNext", "DOM", "DOM.AsyncIterable"],
      types: known ? ["bun"] : [],
      ...(known && !isInstalled(around, "@types/bun") ? { typeRoots: [pathTo(around, types)] } : {}),
      paths: {
        tidegate: [pathTo(around, join(around.home, "src/index.ts"))],
        "tidegate/testing": [pathTo(around, join(around.home, "src/testing.ts"))],
        ...(isInstalled(around, "effect")
          ? {}
          : {
              effect: [pathTo(around, join(effectHome, "dist/index.d.ts"))],
              "effect/*": [pathTo(around, join(effectHome, "dist/*.d.ts"))],
            }),
      },
    },
    include: ["."],
  }
}

/** Deno finds `effect` and the types of Node in node_modules, if they are there; otherwise it brings its own. */
function denoConfig(around: Surroundings): object {
  const installed = isInstalled(around, "effect") && isInstalled(around, "@types/node")
  return {
    imports: {
      tidegate: pathTo(around, join(around.home, "src/index.ts")),
      "tidegate/testing": pathTo(around, join(around.home, "src/testing.ts")),
      ...(installed ? {} : { effect: `npm:effect@${effect.version}`, "effect/": `npm:/effect@${effect.version}/` }),
    },
    // Said here because Deno reads tsconfig.json too, whose types are not its own.
    compilerOptions: { lib: ["deno.window"], types: [], ...STRICTNESS },
    nodeModulesDir: installed ? "manual" : "none",
  }
}

function json(value: object): string {
  const text = JSON.stringify(value, null, 2)
  // Lists of one text stand on one line, as everybody writes them.
  return `${text.replace(/\[\s+("[^"]*")\s+\]/g, "[$1]")}\n`
}

/** How the gateway is called from here: by its name, or through the scripts of its package. */
function command(): string {
  return Bun.which("tidegate") === null ? "bun run tidegate" : "tidegate"
}
