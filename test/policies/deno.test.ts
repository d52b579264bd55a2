import { expect, setDefaultTimeout, test } from "bun:test"
import { join } from "node:path"
import { folder, ROOT, run } from "../helper/cli.ts"
import { deno } from "../helper/deno.ts"

// Processes that compile share the machine with all others that run at the same time.
setDefaultTimeout(60_000)

/** A cache of its own and no registry: everything comes from node_modules. */
const offline = async (...args: string[]) => {
  await using cache = await folder()
  const env = { DENO_DIR: join(cache.path, "cache"), NPM_CONFIG_REGISTRY: "http://127.0.0.1:1" }
  return await run([deno!, ...args], { cwd: ROOT, env })
}

test.concurrent.skipIf(deno === undefined)("deno check passes over the shipped policies and their tests", async () => {
  const { code, stderr } = await offline("check", "policies/", "policies/examples")
  expect(stderr).toContain("policies/examples/with-effect.ts")
  expect(code).toBe(0)
})

test.concurrent.skipIf(deno === undefined)("deno test passes over the tests of the shipped policies", async () => {
  // Some have lists of addresses beside them, which Deno reads for nobody who does not ask.
  const { code, stdout } = await offline("test", "--allow-read=policies", "policies/")
  expect(stdout).toContain(" 0 failed")
  expect(code).toBe(0)
})
