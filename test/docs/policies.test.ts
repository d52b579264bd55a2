import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { checkTypes } from "../../src/cli/types.ts"
import { renderDiagnostic } from "../../src/config/diagnostic.ts"
import { Loader } from "../../src/config/loader.ts"
import * as tidegate from "../../src/index.ts"
import * as testing from "../../src/testing.ts"
import { folder, ROOT, tidegate as run } from "../helper/cli.ts"

// Processes that compile share the machine with all others that run at the same time.
setDefaultTimeout(60_000)

const manual = readFileSync(join(ROOT, "docs/policies.md"), "utf8")

interface Block {
  readonly name: string
  readonly text: string
  readonly line: number
}

/** A block is a policy; its first line may name its file. */
const blocks = [...manual.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match): Block => {
  const text = match[1]!
  const line = manual.slice(0, match.index).split("\n").length + 1
  return { name: /^\/\/ ([\w-]+(?:\.test)?\.ts)/.exec(text)?.[1] ?? `line-${line}.ts`, text, line }
})
const policies = blocks.filter(({ name }) => !name.includes(".test."))
/** What examples import. */
const data = { "allow.txt": "10.0.0.0/8\n192.0.2.7\n" }
const somewhere = `import { next } from "tidegate"\nexport const listen = "tcp://127.0.0.1:1"\nexport const on_tcp_connect = () => next\n`

describe("docs/policies.md", () => {
  test("has examples", () => {
    expect(policies.length).toBeGreaterThan(5)
    expect(blocks.length).toBeGreaterThan(policies.length)
  })

  test.each(policies)("the policy at line $line loads", async ({ name, text }) => {
    await using dir = await folder({ ...data, [name]: text, "zz.ts": somewhere })
    const loader = new Loader(dir.path, { runSetup: true })
    const { problems, snapshot } = await loader.load()
    expect(problems.map((problem) => renderDiagnostic(problem))).toEqual([])
    expect(snapshot.policies.map(({ file }) => file)).toContain(name)
    await loader.close()
  })

  test("every example passes the strict type check", async () => {
    await using dir = await folder({ ...data, ...Object.fromEntries(blocks.map(({ name, text }) => [name, text])) })
    const paths = (some: readonly Block[]) => some.map(({ name }) => join(dir.path, name))
    const problems = await checkTypes(paths(policies), paths(blocks))
    expect(problems.map((problem) => renderDiagnostic(problem))).toEqual([])
  })

  test("the tests in it pass", async () => {
    await using dir = await folder({ ...data, ...Object.fromEntries(blocks.map(({ name, text }) => [name, text])) })
    const { code, stderr } = await run(["test", dir.path])
    expect(stderr).toContain(" 0 fail")
    expect(code).toBe(0)
  })

  test("names everything that can be imported", () => {
    const named = new Set([...manual.matchAll(/`(\w+)`/g)].map(([, name]) => name))
    expect([...Object.keys(tidegate), ...Object.keys(testing)].filter((name) => !named.has(name))).toEqual([])
    const source = `${readFileSync(join(ROOT, "src/index.ts"), "utf8")}\n${readFileSync(join(ROOT, "src/testing.ts"), "utf8")}`
    const types = [
      ...source.matchAll(/export type \{([^}]*)\}|export interface (\w+)|export type (\w+)|\btype (\w+)[ ,}]/g),
    ]
      .flatMap(([, list, ...names]) => [...(list?.split(",") ?? []), ...names])
      .flatMap((name) => name?.trim() ?? [])
      .filter((name) => /^[A-Z]/.test(name) && source.includes("export"))
    const missing = new Set(types.filter((name) => !named.has(name)))
    // Imported, not exported.
    for (const own of ["PolicyExports", "Resources"]) missing.delete(own)
    expect([...missing].sort()).toEqual([])
  })

  test("links to places that are there", () => {
    const anchors = new Set(
      [...manual.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
        title!
          .toLowerCase()
          .replace(/[^\w\s-]/g, "")
          .replace(/\s/g, "-"),
      ),
    )
    const links = [...manual.matchAll(/\]\(#([^)]*)\)/g)].map(([, anchor]) => anchor!)
    expect(links.length).toBeGreaterThan(10)
    expect(links.filter((link) => !anchors.has(link))).toEqual([])
  })
})
