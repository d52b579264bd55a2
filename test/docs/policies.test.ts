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

const manuals = ["policies.md", "tls.md", "protocols.md"].map((name) => ({
  name,
  text: readFileSync(join(ROOT, "docs", name), "utf8"),
}))
const manual = manuals[0]!.text

interface Block {
  readonly name: string
  readonly text: string
  readonly line: number
}

/** A block is a policy; its first line may name its file. */
function blocksOf(text: string): Block[] {
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => {
    const code = match[1]!
    const line = text.slice(0, match.index).split("\n").length + 1
    return { name: /^\/\/ ([\w-]+(?:\.test)?\.ts)/.exec(code)?.[1] ?? `line-${line}.ts`, text: code, line }
  })
}

/** What examples import. */
const authority = /-----BEGIN[^`]*-----END CERTIFICATE-----/.exec(
  readFileSync(join(ROOT, "policies/examples/terminate.ts"), "utf8"),
)![0]
const data = { "allow.txt": "10.0.0.0/8\n192.0.2.7\n", "clients-ca.txt": authority }
const somewhere = `import { next } from "tidegate"\nexport const listen = "tcp://127.0.0.1:1"\nexport const on_tcp_connect = () => next\n`

describe.each(manuals)("docs/$name", ({ text }) => {
  const blocks = blocksOf(text)
  const policies = blocks.filter(({ name }) => !name.includes(".test."))
  const files = { ...data, ...Object.fromEntries(blocks.map((block) => [block.name, block.text])) }

  test("has examples", () => {
    expect(policies.length).toBeGreaterThan(2)
    expect(blocks.length).toBeGreaterThan(policies.length)
  })

  test.each(policies)("the policy at line $line loads", async ({ name, text: code }) => {
    await using dir = await folder({ ...data, [name]: code, "zz.ts": somewhere })
    const loader = new Loader(dir.path, { runSetup: true })
    const { problems, snapshot } = await loader.load()
    expect(problems.map((problem) => renderDiagnostic(problem))).toEqual([])
    expect(snapshot.policies.map(({ file }) => file)).toContain(name)
    await loader.close()
  })

  test("every example passes the strict type check", async () => {
    await using dir = await folder(files)
    const paths = (some: readonly Block[]) => some.map(({ name }) => join(dir.path, name))
    const problems = await checkTypes(paths(policies), paths(blocks))
    expect(problems.map((problem) => renderDiagnostic(problem))).toEqual([])
  })

  test("the tests in it pass", async () => {
    await using dir = await folder(files)
    const { code, stderr } = await run(["test", dir.path])
    expect(stderr).toContain(" 0 fail")
    expect(code).toBe(0)
  })

  test("links to places that are there", () => {
    const links = [...text.matchAll(/\]\(([\w-]+\.md)?(?:#([^)]*))?\)/g)]
    expect(links.length).toBeGreaterThan(10)
    for (const [link, file, anchor] of links) {
      const target = file === undefined ? text : readFileSync(join(ROOT, "docs", file), "utf8")
      expect({ link, found: anchor === undefined || anchorsOf(target).has(anchor) }).toEqual({ link, found: true })
    }
  })
})

function anchorsOf(text: string): Set<string> {
  const titles = [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) => title!.toLowerCase())
  return new Set(titles.map((title) => title.replace(/[^\w\s-]/g, "").replace(/\s/g, "-")))
}

describe("docs/policies.md", () => {
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
})
