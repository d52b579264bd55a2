import { expect, setDefaultTimeout, test } from "bun:test"
import { join } from "node:path"
import { folder, tidegate } from "../helper/cli.ts"

// Processes that compile share the machine with all others that run at the same time.
setDefaultTimeout(60_000)

const policy = `import { Effect } from "effect"
import { next } from "tidegate"
export const listen = "tcp://:1"
export const on_tcp_connect = () => Effect.succeed(next)
`
const testing = (action: string) => `import assert from "node:assert/strict"
import { test } from "node:test"
import { Effect } from "effect"
import { next } from "tidegate"
import { connect } from "tidegate/testing"
import * as policy from "./policy.ts"

test("answers", async () => {
  assert.ok(Effect.isEffect(policy.on_tcp_connect()))
  const { decision } = await connect(policy, { from: "203.0.113.9" })
  assert.equal(decision.action, "${action}")
  assert.equal(decision, next)
})
`

test.concurrent("passing tests: exit code 0, with the gateway's own tidegate and effect, whatever else is there", async () => {
  await using dir = await folder({
    "policy.ts": policy,
    "policy.test.ts": testing("next"),
    "sub/more_test.ts": `import { test } from "bun:test"\ntest("more", () => {})\n`,
    "node_modules/tidegate/index.js": "throw new Error('the wrong one')",
    "node_modules/x/x.test.js": "throw new Error('not ours')",
  })
  const { code, stderr } = await tidegate(["test", dir.path])
  expect(stderr).toContain("2 pass")
  expect(code).toBe(0)
})

test.concurrent("a failing test: the exit code of bun test", async () => {
  await using dir = await folder({ "policy.ts": policy, "policy.test.ts": testing("deny") })
  const { code, stderr } = await tidegate(["test", dir.path])
  expect(code).toBe(1)
  expect(stderr).toContain("1 fail")
})

test.concurrent("no tests, or no folder: a message and exit code 2", async () => {
  await using dir = await folder({ "policy.ts": policy, "node_modules/x/x.test.js": "" })
  expect(await tidegate(["test", dir.path])).toEqual({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining("has no tests"),
  })
  expect(await tidegate(["test", join(dir.path, "nope")])).toEqual({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining("there is no folder"),
  })
})

test.concurrent("the shipped policies pass their tests", async () => {
  const { code, stderr } = await tidegate(["test", "policies"])
  expect(stderr).toContain(" 0 fail")
  expect(code).toBe(0)
})
