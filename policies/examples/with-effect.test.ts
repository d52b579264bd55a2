import assert from "node:assert/strict"
import { test } from "node:test"
import { deny, next } from "tidegate"
import { connect } from "tidegate/testing"
import * as policy from "./with-effect.ts"

/** Connects while each request is answered by the next of `answers`; "down" is a request that fails. */
async function connectWith(from: string, answers: (number | "down")[]) {
  const { fetch } = globalThis
  globalThis.fetch = Object.assign(async () => {
    const answer = answers.shift() ?? "down"
    if (answer === "down") throw new TypeError("connection refused")
    return new Response(null, { status: answer })
  }, fetch)
  try {
    return (await connect(policy, { from })).decision
  } finally {
    globalThis.fetch = fetch
  }
}

test("a client that the service lets in goes on to the next policy", async () => {
  assert.equal(await connectWith("203.0.113.9", [204]), next)
})

test("two failed requests are retried", async () => {
  assert.equal(await connectWith("203.0.113.9", ["down", "down", 204]), next)
})

test("a client that the service refuses is denied", async () => {
  assert.deepEqual(await connectWith("203.0.113.9", [403]), deny("the service said 403"))
})

test("without an answer only the office gets in", async () => {
  assert.equal(await connectWith("10.0.0.1", []), next)
  assert.deepEqual(await connectWith("203.0.113.9", []), deny("no answer"))
})
