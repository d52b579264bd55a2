import assert from "node:assert/strict"
import { test } from "node:test"
import { deny, route } from "tidegate"
import { connect } from "tidegate/testing"
import * as policy from "./sni-router.ts"

test("a service is found by its name, however it is written", async () => {
  for (const sni of ["shop.example.com", "SHOP.example.com."]) {
    const { decision } = await connect(policy, { from: "203.0.113.9", tls: { sni } })
    assert.deepEqual(decision, route("tcp://shop.internal:443"))
  }
})

test("a service may have several servers", async () => {
  const { decision } = await connect(policy, { from: "203.0.113.9", tls: { sni: "wiki.example.com" } })
  assert.deepEqual(decision, route(["tcp://wiki-1.internal:443", "tcp://wiki-2.internal:443"]))
})

for (const tls of [{ sni: "mail.example.com" }, { sni: "x.shop.example.com" }, {}]) {
  test(`a client that asks for ${JSON.stringify(tls)} is denied`, async () => {
    const { decision } = await connect(policy, { from: "203.0.113.9", tls })
    assert.deepEqual(decision, deny("no such service"))
  })
}
