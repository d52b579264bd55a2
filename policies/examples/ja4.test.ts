import assert from "node:assert/strict"
import { test } from "node:test"
import { deny, route } from "tidegate"
import { connect } from "tidegate/testing"
import * as policy from "./ja4.ts"

test("a program on the list is denied, and logged", async () => {
  const tls = { sni: "example.com", ja4: "t13d190900_9dc949149365_97f8aa674fd9" }
  const { decision, log } = await connect(policy, { from: "203.0.113.9", tls })
  assert.deepEqual(decision, deny("the fingerprint of Sliver"))
  assert.deepEqual(log, { program: "Sliver" })
})

test("everybody else reaches the server", async () => {
  const { decision, log } = await connect(policy, { from: "203.0.113.9", tls: { sni: "example.com" } })
  assert.deepEqual(decision, route("tcp://web.internal:443"))
  assert.deepEqual(log, {})
})
