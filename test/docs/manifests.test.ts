// docs/kubernetes.md and docs/ngrok.md: their files load beside each other, and commands print what is shown.
import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { renderDiagnostic } from "../../src/config/diagnostic.ts"
import { KINDS } from "../../src/config/kubernetes/kinds.ts"
import { Loader } from "../../src/config/loader.ts"
import { folder, ROOT, tidegate } from "../helper/cli.ts"
import { anchorsOf, blocksOf, manual } from "../helper/manuals.ts"

// Processes that compile share the machine with all others that run at the same time.
setDefaultTimeout(60_000)

const kubernetes = manual("docs/kubernetes.md")
const ngrok = manual("docs/ngrok.md")

/** What examples name beside themselves. */
const guard = `import { next } from "tidegate"\nexport const on_tcp_connect = () => next\n`

function filesOf(text: string): Record<string, string> {
  return Object.fromEntries(blocksOf(text, "yaml").map((block) => [block.name, block.text]))
}

/** What a command of the page prints there. */
function printed(text: string, command: string): string {
  const block = blocksOf(text, "console").find((each) => each.text.startsWith(`$ ${command}`))!.text
  return block.slice(block.indexOf("\n") + 1)
}

describe.each([kubernetes, ngrok])("$name", ({ name, text }) => {
  test("its files load together, without a word", async () => {
    const files = filesOf(text)
    expect(Object.keys(files).length).toBeGreaterThan(1)
    await using dir = await folder({ ...files, "lib/tenant.ts": guard })
    const loader = new Loader(dir.path, { runSetup: true })
    const { problems, snapshot, warnings } = await loader.load()
    expect([...problems, ...warnings].map((each) => renderDiagnostic(each))).toEqual([])
    expect(snapshot.listeners.size).toBeGreaterThan(0)
    await loader.close()
  })

  test("links to places that are there", () => {
    const links = [...text.matchAll(/\]\((?!https?:)([^()#\s]+)?(?:#([^()\s]*))?\)/g)]
    expect(links.length).toBeGreaterThan(10)
    for (const [link, file, anchor] of links) {
      const target = file === undefined ? join(ROOT, name) : join(ROOT, dirname(name), file)
      expect({ link, found: existsSync(target) }).toEqual({ link, found: true })
      if (anchor === undefined) continue
      expect({ link, found: anchorsOf(readFileSync(target, "utf8")).has(anchor) }).toEqual({ link, found: true })
    }
  })
})

test.concurrent("the first Gateway is checked as shown", async () => {
  await using dir = await folder({ "policies/edge.yaml": filesOf(kubernetes.text)["edge.yaml"]! })
  const { stderr, stdout } = await tidegate(["check"], { cwd: dir.path })
  expect({ stderr, stdout }).toEqual({ stderr: "", stdout: printed(kubernetes.text, "tidegate check") })
})

test.concurrent("the first traffic policy is explained as shown", async () => {
  await using dir = await folder({ "policies/databases.yaml": filesOf(ngrok.text)["databases.yaml"]! })
  const command = "explain --from 192.0.2.7 --to tcp://127.0.0.1:5432"
  const { stderr, stdout } = await tidegate(command.split(" "), { cwd: dir.path })
  expect({ stderr, stdout }).toEqual({ stderr: "", stdout: printed(ngrok.text, `tidegate ${command}`) })
})

test("every kind and every version is in a table", () => {
  for (const [kind, { versions }] of Object.entries(KINDS)) {
    const row = kubernetes.text.split("\n").find((line) => new RegExp(`^\\| [^|]*\\b${kind}\\b`).test(line)) ?? ""
    const [, , cell = ""] = row.split("|")
    const isServed = !/^(HTTP|GRPC|UDP)Route$/.test(kind)
    const missing = Object.keys(versions).filter((version) => isServed && !cell.includes(version))
    expect({ kind, row: row !== "", missing }).toEqual({ kind, row: true, missing: [] })
  }
})

test("every reason of a condition is explained", () => {
  const sources = ["kubernetes", "traffic-policy"].flatMap((name) => {
    const path = join(ROOT, "src/config", name)
    const files = readdirSync(path, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))
    return files.map((file) => readFileSync(join(path, file), "utf8"))
  })
  const reasons = new Set(
    sources.flatMap((source) =>
      [
        ...source.matchAll(
          /\bis(?:True|False)\(\s*"[\w./]+",\s*"([A-Z]\w+)"|\b(?:reject|refuse|refused|bad)\("([A-Z]\w+)"|\breason: "([A-Z]\w+)"/g,
        ),
      ].map(([, condition, rejected, reason]) => (condition ?? rejected ?? reason)!),
    ),
  )
  expect(reasons.size).toBeGreaterThan(40)
  // The one that says that all is well with a listener.
  reasons.delete("NoConflicts")
  const said = `${kubernetes.text}${ngrok.text}`
  expect([...reasons].filter((reason) => !said.includes(`\`${reason}\``))).toEqual([])
})
