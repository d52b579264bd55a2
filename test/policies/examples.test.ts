import { expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { folder, ROOT, tidegate } from "../helper/cli.ts"
import { mmdb } from "../helper/mmdb.ts"

// Processes that compile share the machine with all others that run at the same time.
setDefaultTimeout(60_000)

const EXAMPLES = join(ROOT, "policies/examples")
const files = [...new Bun.Glob("*.ts").scanSync(EXAMPLES)].sort()
const examples = files.filter((name) => !name.endsWith(".test.ts"))
/** Served from the folder like policies; their tests are in manifest-examples.test.ts. */
const manifests = [...new Bun.Glob("*.yaml").scanSync(EXAMPLES)].filter((name) => name !== "tidegate.yaml").sort()

test("every example has a test, and is in the README's table", async () => {
  expect(examples.filter((name) => !existsSync(join(EXAMPLES, name.replace(/\.ts$/, ".test.ts"))))).toEqual([])
  const readme = await Bun.file(join(ROOT, "README.md")).text()
  const all = [...examples, ...manifests, "tidegate.yaml"]
  expect(all.filter((name) => !readme.includes(`(policies/examples/${name})`))).toEqual([])
  const tests = await Bun.file(join(import.meta.dir, "manifest-examples.test.ts")).text()
  expect(manifests.filter((name) => !tests.includes(`example("${name}"`))).toEqual([])
})

test("tidegate check --types passes over all of them at once, and the configuration file beside them", async () => {
  await using databases = await folder()
  const networks = { "203.0.113.0/24": { country: { iso_code: "DE" } } }
  writeFileSync(join(databases.path, "country.mmdb"), mmdb({ type: "GeoLite2-Country", networks }))
  const config = join(EXAMPLES, "tidegate.yaml")
  const command = ["check", "--types", "--geoip", databases.path, "--config", config, EXAMPLES]
  const { code, stderr, stdout } = await tidegate(command)
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  // Each has a port of its own, so that they can be tried beside each other.
  const everywhere = ["blocklist.ts", "geo.ts"]
  const asked = [...stdout.matchAll(/^ +.*asks (?!by server name)(.*)$/gm)].map(([, names]) => [
    // A route, and the listener behind it, are parts of one file.
    ...new Set(names!.split(", then ")),
  ])
  expect(asked.filter((names) => names.filter((name) => !everywhere.includes(name)).length !== 1)).toEqual([])
  expect(new Set(asked.flat())).toEqual(new Set([...examples, ...manifests, "tidegate.yaml"]))
})

test("the configuration file needs no folder of policies", async () => {
  await using empty = await folder()
  const { code, stdout } = await tidegate(["check", "--config", join(EXAMPLES, "tidegate.yaml")], { cwd: empty.path })
  expect(stdout).toContain("2 pools")
  expect(code).toBe(0)
})
