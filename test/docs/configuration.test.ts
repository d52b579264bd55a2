// docs/configuration.md does what it says. Its tables and its YAML are held against the schema in
// test/config/schema/json-schema.test.ts.
import { expect, setDefaultTimeout, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { folder, ROOT, tidegate } from "../helper/cli.ts"

// Processes that compile share the machine with all others that run at the same time.
setDefaultTimeout(60_000)

const page = readFileSync(join(ROOT, "docs/configuration.md"), "utf8")

function blocks(language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map((match) => match[1]!)
}

/** What a command of the page prints there. */
function printed(command: string): string {
  const block = blocks("console").find((each) => each.includes(command))!
  return block.slice(block.indexOf("\n") + 1)
}

const [first = ""] = blocks("yaml")
const [policy = ""] = blocks("ts")

test.concurrent("the first file is checked as shown", async () => {
  await using dir = await folder({ "tidegate.yaml": first })
  const { stderr, stdout } = await tidegate(["check", "--config", "tidegate.yaml"], { cwd: dir.path })
  expect({ stderr, stdout }).toEqual({ stderr: "", stdout: printed("check --config tidegate.yaml") })
})

test.concurrent("its mistakes are shown as shown", async () => {
  await using dir = await folder({ "tidegate.yaml": first.replace("weight", "wieght") })
  const shown = blocks("console").find((block) => block.startsWith("tidegate.yaml:"))!
  const { stderr } = await tidegate(["check", "--config", "tidegate.yaml"], { cwd: dir.path })
  expect(stderr).toStartWith(shown.slice(0, shown.lastIndexOf("tidegate.yaml:")))
  await dir.write("tidegate.yaml", first.replace("route: db", "route: bd"))
  const { stderr: other } = await tidegate(["check", "--config", "tidegate.yaml"], { cwd: dir.path })
  expect(other).toStartWith(shown.slice(shown.lastIndexOf("tidegate.yaml:")))
})

test.concurrent("the policy passes the strict type check, and is explained as shown", async () => {
  await using dir = await folder({ "db.ts": policy })
  expect((await tidegate(["check", dir.path, "--types"])).stderr).toBe("")
  const { stdout } = await tidegate(["explain", dir.path, "--from", "10.1.2.3", "--to", "tcp://127.0.0.1:5432"])
  expect(stdout).toEndWith(printed("explain").replace("...\n", ""))
})

test("links to places that are there", () => {
  const links = [...page.matchAll(/\]\(([\w-]+\.md)?(?:#([^)]*))?\)/g)]
  expect(links.length).toBeGreaterThan(20)
  for (const [link, file, anchor] of links) {
    const target = file === undefined ? page : readFileSync(join(ROOT, "docs", file), "utf8")
    const titles = [...target.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title!
        .toLowerCase()
        .replace(/[^\w\s-]/g, "")
        .replace(/\s/g, "-"),
    )
    expect({ link, found: anchor === undefined || titles.includes(anchor) }).toEqual({ link, found: true })
  }
})
