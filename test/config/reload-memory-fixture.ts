// Reloads a folder 1,000 times, with everything in it that can be left behind, and prints what was left.
import { readdirSync } from "node:fs"
import { plan, policy, PolicyFolder } from "./policy-folder.ts"

const ROUNDS = 1000
const FROM = 100

const { stdout } = process

async function measure() {
  // Freed pages go back to the system by a background thread, some hundred milliseconds later.
  for (let i = 0; i < 3; i++) {
    Bun.gc(true)
    await new Promise((resolve) => setTimeout(resolve, 400))
  }
  return {
    megabytes: process.memoryUsage.rss() / 1e6,
    modules: Object.keys(require.cache).filter((path) => path.includes("?h=")).length,
    descriptors: readdirSync("/proc/self/fd").length,
  }
}

function changing(round: number): string {
  const before = `import { x } from "./lib/x.ts"; import d from "./lib/d.json"; import { deny } from "tidegate"
    export const setup = () => ({ [Symbol.dispose]() {} })`
  return policy(`deny([${round}, x, d.n].join())`, { before })
}

await using folder = new PolicyFolder({ "still.ts": policy("1", { port: 9001 }) })
const loader = folder.loader()
let before = await measure()
for (let round = 0; round <= ROUNDS; round++) {
  folder.replace("a.ts", changing(round))
  if (round % 10 === 0) {
    folder.write("lib/x.ts", `export const x = ${round}`)
    folder.write("lib/d.json", `{ "n": ${round} }`)
    folder.write("b.ts", round % 20 === 0 ? `export const x = ${round}(` : `throw new Error("${round}")`)
  }
  const { policies, usage } = plan(await loader.reload(), "tcp:127.0.0.1:9000")
  usage.acquire()
  const decision: unknown = Reflect.apply(policies[0]!.connect, undefined, [])
  usage.release()
  const tens = round - (round % 10)
  if (Reflect.get(Object(decision), "reason") !== `${round},${tens},${tens}`) throw new Error(`round ${round} is stale`)
  if (round === FROM) before = await measure()
}
const after = await measure()
stdout.write(
  JSON.stringify({
    megabytes: after.megabytes - before.megabytes,
    modules: after.modules - before.modules,
    descriptors: after.descriptors - before.descriptors,
  }),
)
