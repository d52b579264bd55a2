// `tidegate check --types`: runs TypeScript over a folder of policies, strictly, as an editor would. The configuration
// is made in a temporary folder, so that it works for any folder, also a read-only one; nothing of the folder is run.
import { readFileSync } from "node:fs"
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { diagnostic, placeAt, type Diagnostic, type Place } from "../config/diagnostic.ts"

/** What is asserted of each policy, one by one, so that each is reported at its own place. */
const PROPERTIES = ["listen", "deadline", "pools", "setup", "on_tcp_connect", "on_tcp_close"] as const
type Property = (typeof PROPERTIES)[number]

/** The gateway's own files: what is wrong in them is not the policies' problem. */
const SOURCES = `${dirname(import.meta.dir)}/`

/** One message of tsc, with its further lines. */
interface Problem extends Place {
  readonly message: string
  readonly hint?: string
}

/**
 * Type-checks policies, and other files of their folder: their tests.
 * @param policies absolute paths; each must satisfy `Policy`, except JavaScript, which is only checked as an import
 * @param others absolute paths
 */
export async function checkTypes(policies: readonly string[], others: readonly string[]): Promise<Diagnostic[]> {
  // TypeScript follows symbolic links; people are told the names that they know.
  const known = new Map<string, string>()
  for (const path of [...others, ...policies]) known.set(await realpath(path), path)
  const typed = policies.filter((path) => /\.m?ts$/.test(path))
  const real = await Promise.all(typed.map((path) => realpath(path)))
  const work = await realpath(await mkdtemp(join(tmpdir(), "tidegate-types-")))
  try {
    const check = (files: readonly string[]) =>
      run(
        work,
        files,
        real.filter((path) => files.includes(path)),
      )
    const problems = await check([...known.keys()])
    // TypeScript says nothing about types while there is a syntax error anywhere: look again without those files.
    const broken = new Set(problems.flatMap(({ message, path }) => (isSyntaxError(message) ? [path] : [])))
    const sound = [...known.keys()].filter((path) => !broken.has(path))
    if (broken.size > 0) problems.push(...(await check(sound)).filter(({ path }) => !broken.has(path)))
    return problems.map(({ hint, message, path, ...place }) =>
      diagnostic({ ...place, path: known.get(path) ?? path }, message, hint),
    )
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** TypeScript's syntax errors are numbered from 1000 to 1999. */
export function isSyntaxError(message: string): boolean {
  return /^TS1\d{3}:/.test(message)
}

/** One run of the compiler over real paths, of which some are policies. */
async function run(work: string, files: readonly string[], policies: readonly string[]): Promise<Problem[]> {
  const asserted = join(work, "policies.ts")
  const types = typesOfBun()
  const all = [...files, asserted, ...(types === undefined ? [join(work, "runtime.d.ts")] : [])]
  await writeFile(asserted, assertions(policies))
  await writeFile(join(work, "runtime.d.ts"), UNTYPED_RUNTIME)
  await writeFile(join(work, "tsconfig.json"), JSON.stringify(configuration(all, types)))
  const { output, code } = await compile(work)
  const complaints = parseOutput(output, work)
  if (code !== 0 && complaints.length === 0)
    throw new Error(`the type check could not be run:\n${output.slice(0, 4000)}`)
  return complaints
    .filter(({ path }) => !path.startsWith(SOURCES) && !path.includes("/node_modules/"))
    .flatMap((complaint) => (complaint.path === asserted ? unsatisfied(policies, complaint) : [complaint]))
}

/** The lines before the assertions, which are one per policy and property. */
const PREAMBLE = `import type { Policy } from "tidegate"
type Default<D> = D extends (...args: never[]) => unknown ? { on_tcp_connect: D } : D extends object ? D : {}
type Exports<M> = Omit<M, "default"> & (M extends { default: infer D } ? Default<D> : {})
type Made<R> = R extends { "~effect/Effect": { _A: (_: never) => infer A } } ? A : Awaited<R>
type Resources<M> = Exports<M> extends { setup: () => infer R } ? Made<R> : undefined
type Expected<M> = Required<Policy<Resources<M>>>
declare function exported<M, K extends string>(module: M, name: K): K extends keyof Exports<M> ? Exports<M>[K] : never
`
const FIRST_ASSERTION = PREAMBLE.split("\n").length

function assertions(policies: readonly string[]): string {
  const asserted = policies.flatMap((_, i) =>
    PROPERTIES.map(
      (name) => `export const ${name}${i}: Expected<typeof p${i}>["${name}"] = exported(p${i}, "${name}")`,
    ),
  )
  // Imports may stand behind, where they do not move the lines of the assertions.
  const imports = policies.map((path, i) => `import * as p${i} from ${JSON.stringify(path)}`)
  return `${PREAMBLE}${[...asserted, ...imports].join("\n")}\n`
}

/** What an assertion that does not hold says about its policy. That one is no module at all, loading has said. */
function unsatisfied(policies: readonly string[], { line, message }: Problem): Problem[] {
  const index = (line ?? 0) - FIRST_ASSERTION
  const property = PROPERTIES[index % PROPERTIES.length]
  const path = policies[Math.floor(index / PROPERTIES.length)]
  if (property === undefined || path === undefined) return []
  const hint = hintFor(property, message)
  return [
    {
      ...placeOf(path, property),
      message: `${property} does not fit the type Policy\n${message}`,
      ...(hint === undefined ? {} : { hint }),
    },
  ]
}

function hintFor(property: Property, message: string): string | undefined {
  if (property === "on_tcp_connect" && /Type '(undefined|void)' is not assignable/.test(message))
    return "on some path on_tcp_connect returns nothing; write `return next`"
  // "hash" alone is a text to TypeScript, and not one of the words that the type knows.
  if (property === "pools" && message.includes("Type 'string' is not assignable"))
    return "write `export const pools: Pools = ...`, so that its words are not taken for any text"
  return undefined
}

/** Where a policy has this export, or the property of its default export, or that export itself. */
function placeOf(path: string, property: Property): Place {
  const text = readFileSync(path, "utf8")
  const patterns = [
    new RegExp(`^[ \\t]*export\\s+(?:(?:async\\s+)?function\\s*\\*?|const|let|var)\\s+(?=${property}\\b)`, "m"),
    new RegExp(`\\b(?=${property}\\b)`),
    /^[ \t]*export\s+(?=default\b)/m,
  ]
  for (const pattern of patterns) {
    const match = pattern.exec(text)
    if (match !== null) return placeAt(path, text, match.index + match[0].length)
  }
  return { path }
}

/** Where the types of Bun and Node are, if they are installed with the gateway. */
function typesOfBun(): string | undefined {
  try {
    return dirname(dirname(Bun.resolveSync("@types/bun/package.json", import.meta.dir)))
  } catch {
    // An installation without development dependencies.
    return undefined
  }
}

/** Stands in for the types of Bun and Node: their modules can be imported, and are not checked. */
const UNTYPED_RUNTIME = `declare module "bun"\ndeclare module "bun:*"\ndeclare module "node:*"\ndeclare const Bun: any\ndeclare const process: any\ndeclare const Buffer: any\n`

function configuration(files: readonly string[], types: string | undefined): object {
  const effect = dirname(Bun.resolveSync("effect/package.json", import.meta.dir))
  return {
    compilerOptions: {
      ...STRICT,
      lib: types === undefined ? ["ESNext", "DOM", "DOM.AsyncIterable"] : ["ESNext"],
      ...(types === undefined ? { types: [] } : { typeRoots: [types], types: ["bun"] }),
      paths: {
        tidegate: [join(SOURCES, "index.ts")],
        "tidegate/testing": [join(SOURCES, "testing.ts")],
        effect: [join(effect, "dist/index.d.ts")],
        "effect/*": [join(effect, "dist/*.d.ts"), join(effect, "dist/*/index.d.ts")],
      },
    },
    files,
  }
}

/** What is checked beyond the language itself; Deno is told the same. */
export const STRICTNESS = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noImplicitOverride: true,
  noFallthroughCasesInSwitch: true,
} as const

/** The options that `tidegate init` gives editors too. */
export const STRICT = {
  target: "ESNext",
  module: "Preserve",
  moduleResolution: "bundler",
  noEmit: true,
  allowJs: true,
  ...STRICTNESS,
  verbatimModuleSyntax: true,
  allowImportingTsExtensions: true,
  skipLibCheck: true,
} as const

async function compile(folder: string): Promise<{ output: string; code: number }> {
  const tsc = join(dirname(Bun.resolveSync("typescript/package.json", import.meta.dir)), "bin/tsc")
  const command = [process.execPath, "--no-install", tsc, "--project", folder, "--pretty", "false"]
  await using compiler = Bun.spawn(command, { cwd: folder, stdin: "ignore", stdout: "pipe", stderr: "pipe" })
  const [output, errors, code] = await Promise.all([
    new Response(compiler.stdout).text(),
    new Response(compiler.stderr).text(),
    compiler.exited,
  ])
  return { output: output + errors, code }
}

/** `file(line,column): error TS2322: text`, followed by indented lines. */
function parseOutput(output: string, cwd: string): Problem[] {
  const complaints: Problem[] = []
  for (const row of output.split("\n")) {
    const match = /^(.+?)\((\d+),(\d+)\): error (TS\d+: .*)$/.exec(row)
    if (match !== null) {
      const [, file = "", line, column, message = ""] = match
      complaints.push({ path: resolve(cwd, file), line: Number(line), column: Number(column), message })
    } else if (row.startsWith("  ") && complaints.length > 0)
      complaints.push(continued(complaints.pop()!, row.slice(2)))
  }
  return complaints
}

function continued(complaint: Problem, row: string): Problem {
  return { ...complaint, message: `${complaint.message}\n${row}` }
}
