// Reloads a folder 1,000 times with everything in it that can be left behind, and prints what was.
import { readdirSync } from "node:fs"
import { policy, PolicyFolder, plan } from "./policy-folder.ts"

const ROUNDS = 1000
const FROM = 100

async function rss(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    Bun.gc(true)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return process.memoryUsage.rss()
}

const versioned = () => Object.keys(require.cache).filter((path) => path.includes("?h=")).length
const descriptors = () => readdirSync("/proc/self/fd").length

await using folder = new PolicyFolder({ "still.ts": policy("1", { port: 9001 }) })
const loader = folder.loader()
let before = { rss: 0, versioned: 0, descriptors: 0 }
for (let round = 1; round <= ROUNDS; round++) {
  folder.write("lib/x.ts", `export const x = ${round}\nexport const pad = "${"x".repeat(500)}"`)
  folder.write("lib/d.json", `{ "n": ${round} }`)
  const imports = `import { x } from "./lib/x.ts"; import d from "./lib/d.json"; import { deny } from "tidegate"`
  const setup = `export const setup = () => ({ [Symbol.dispose]() {} })`
  folder.replace("a.ts", policy("deny(String(x + d.n))", { before: `${imports}\n${setup}` }))
  folder.write("b.ts", round % 2 === 0 ? `export const x = ${round}(` : `throw new Error("${round}")`)
  const loaded = await loader.reload()
  const { policies, usage } = plan(loaded, "tcp:127.0.0.1:9000")
  usage.acquire()
  if (Reflect.get(Object(Reflect.apply(policies[0]!.connect, undefined, [])), "reason") !== String(2 * round)) {
    throw new Error(`round ${round} answered with an old version`)
  }
  usage.release()
  if (round === FROM) before = { rss: await rss(), versioned: versioned(), descriptors: descriptors() }
}
process.stdout.write(
  JSON.stringify({
    megabytes: ((await rss()) - before.rss) / 1e6,
    versioned: versioned() - before.versioned,
    descriptors: descriptors() - before.descriptors,
  }),
)
