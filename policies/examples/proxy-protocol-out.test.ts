import assert from "node:assert/strict"
import { test } from "node:test"
import { route } from "tidegate"
import { connect } from "tidegate/testing"
import * as policy from "./proxy-protocol-out.ts"

test("the mail server gets a header of version 1", async () => {
  const { decision } = await connect(policy, { from: "203.0.113.9", to: "tcp://127.0.0.1:9123" })
  assert.deepEqual(decision, route("tcp://mail.internal:10025", { proxyProtocol: 1 }))
})

test("the web servers get what their pool says", async () => {
  const tls = { sni: "shop.example.com" }
  const { decision } = await connect(policy, { from: "203.0.113.9", to: "tls://127.0.0.1:9124", tls })
  assert.deepEqual(decision, route("web"))
  assert.equal(policy.pools.web.proxyProtocol, 2)
})
