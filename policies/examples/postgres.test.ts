import assert from "node:assert/strict"
import { test } from "node:test"
import { deny, route } from "tidegate"
import { connect } from "tidegate/testing"
import * as policy from "./postgres.ts"

test("with TLS the server is found by its name, from anywhere", async () => {
  for (const kind of ["ssl-request", "direct-tls"] as const) {
    const facts = { from: "203.0.113.9", postgres: { kind }, tls: { sni: "shop.db.example.com" } }
    assert.deepEqual((await connect(policy, facts)).decision, route("tcp://shop-db.internal:5432"))
  }
})

test("with TLS, another name and none are denied", async () => {
  for (const tls of [{ sni: "x.db.example.com" }, {}]) {
    const { decision } = await connect(policy, { from: "203.0.113.9", tls })
    assert.deepEqual(decision, deny("no such database server"))
  }
})

test("without TLS the office reaches a database by its name", async () => {
  const { decision } = await connect(policy, { from: "10.1.2.3", postgres: { user: "ana", database: "wiki" } })
  assert.deepEqual(decision, route("tcp://wiki-db.internal:5432"))
})

const refusals = [
  { from: "10.1.2.3", postgres: { user: "ana" }, reason: "there is no database ana" },
  { from: "203.0.113.9", postgres: { user: "ana", database: "shop" }, reason: "use sslmode=require" },
  { from: "10.1.2.3", postgres: { kind: "cancel" as const }, reason: "a query is cancelled at its server" },
]

for (const { reason, ...facts } of refusals) {
  test(`${JSON.stringify(facts)}: ${reason}`, async () => {
    assert.deepEqual((await connect(policy, facts)).decision, deny(reason))
  })
}
