import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { checkTypes } from "../../src/cli/types.ts"
import { renderDiagnostic } from "../../src/config/diagnostic.ts"
import { Loader } from "../../src/config/loader.ts"
import * as tidegate from "../../src/index.ts"
import * as testing from "../../src/testing.ts"
import { folder, ROOT, tidegate as run } from "../helper/cli.ts"
import { anchorsOf, blocksOf, manual, type Block } from "../helper/manuals.ts"

// Processes that compile share the machine with all others that run at the same time.
setDefaultTimeout(60_000)

const manuals = ["policies.md", "tls.md", "protocols.md", "upstreams.md", "limits.md"].map((name) =>
  manual(`docs/${name}`),
)
const author = manuals[0]!.text
const readme = manual("README.md")

/** What examples import. */
const authority = /-----BEGIN[^`]*-----END CERTIFICATE-----/.exec(
  readFileSync(join(ROOT, "policies/examples/terminate.ts"), "utf8"),
)![0]
const addresses = "10.0.0.0/8\n192.0.2.7\n"
const data = { "allow.txt": addresses, "blocklist.txt": addresses, "clients-ca.txt": authority }
const somewhere = `import { next } from "tidegate"\nexport const listen = "tcp://127.0.0.1:1"\nexport const on_tcp_connect = () => next\n`

describe.each([...manuals, readme])("$name", ({ name: page, text }) => {
  const blocks = blocksOf(text, "ts")
  const policies = blocks.filter(({ name }) => !name.includes(".test."))
  const files = { ...data, ...Object.fromEntries(blocks.map((block) => [block.name, block.text])) }

  test("has examples", () => {
    expect(policies.length).toBeGreaterThan(1)
    expect(blocks.length).toBeGreaterThan(policies.length)
  })

  test.each(policies)("the policy at line $line loads", async ({ name, text: code }) => {
    await using dir = await folder({ ...data, [name]: code, "zz.ts": somewhere })
    const loader = new Loader(dir.path, { runSetup: true, hasDatabases: true })
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
    const links = [...text.matchAll(/\]\((?!https?:)([^()#\s]+)?(?:#([^()\s]*))?\)/g)]
    expect(links.length).toBeGreaterThan(10)
    for (const [link, file, anchor] of links) {
      const target = file === undefined ? join(ROOT, page) : join(ROOT, dirname(page), file)
      expect({ link, found: existsSync(target) }).toEqual({ link, found: true })
      if (anchor === undefined) continue
      expect({ link, found: anchorsOf(readFileSync(target, "utf8")).has(anchor) }).toEqual({ link, found: true })
    }
  })
})

describe("docs/policies.md", () => {
  test("names everything that can be imported", () => {
    const named = new Set([...author.matchAll(/`(\w+)`/g)].map(([, name]) => name))
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
    for (const own of ["PolicyExports", "Resources", "Simulated"]) missing.delete(own)
    expect([...missing].sort()).toEqual([])
  })
})
