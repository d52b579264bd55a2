import assert from "node:assert/strict"
import { test } from "node:test"
import { deny, next } from "tidegate"
import { connect, PolicyFailed, type Connected } from "tidegate/testing"
import * as policy from "./ask-http.ts"

/** Connects while the service gives this answer. */
async function connectWith(answer: (url: string) => Response): Promise<Connected> {
  const { fetch } = globalThis
  globalThis.fetch = Object.assign(async (url: unknown) => answer(String(url)), fetch)
  try {
    return await connect(policy, { from: "[2001:db8::1]:4711" })
  } finally {
    globalThis.fetch = fetch
  }
}

test("a client that the service lets in goes on to the next policy", async () => {
  const asked: string[] = []
  const { decision } = await connectWith((url) => {
    asked.push(url)
    return new Response(null, { status: 204 })
  })
  assert.equal(decision, next)
  assert.deepEqual(asked, ["http://127.0.0.1:8080/may-connect?ip=2001%3Adb8%3A%3A1"])
})

test("a client that the service refuses is denied with its reason", async () => {
  const { decision } = await connectWith(() => new Response("unpaid", { status: 403 }))
  assert.deepEqual(decision, deny("unpaid"))
})

test("a service that fails closes the connection", async () => {
  await assert.rejects(
    connectWith(() => new Response(null, { status: 500 })),
    (error) => error instanceof PolicyFailed && error.closeReason === "policy-failed",
  )
})
