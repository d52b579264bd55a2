import assert from "node:assert/strict"
import { beforeEach, test } from "node:test"
import { deny } from "tidegate"
import { connect, resetLimits } from "tidegate/testing"
import * as policy from "./concurrency-limit.ts"

const open = (from: string, tenant = "acme") =>
  connect(policy, { from, postgres: { kind: "ssl-request" }, tls: { sni: `${tenant}.db.example.com` } })

// What is counted is counted for the whole process.
beforeEach(resetLimits)

test("20 from one address; one that ends makes room", async () => {
  const first = await open("203.0.113.9")
  for (let i = 1; i < 20; i++) assert.equal((await open("203.0.113.9")).decision.action, "route")
  const refusal = deny("too many connections to acme from your address")
  assert.deepEqual((await open("203.0.113.9")).decision, refusal)
  assert.equal((await open("203.0.113.9", "other")).decision.action, "route")
  first.close()
  assert.equal((await open("203.0.113.9")).decision.action, "route")
  assert.deepEqual((await open("203.0.113.9")).decision, refusal)
})

test("100 of one tenant, from wherever they come", async () => {
  for (let i = 0; i < 100; i++) assert.equal((await open(`10.0.${i}.1`)).decision.action, "route")
  assert.deepEqual((await open("203.0.113.9")).decision, deny("too many connections to acme"))
  assert.equal((await open("203.0.113.9", "other")).decision.action, "route")
})

test("who names no tenant is told how", async () => {
  const { decision } = await connect(policy, { from: "203.0.113.9", postgres: { user: "ana", database: "acme" } })
  assert.deepEqual(decision, deny("connect to TENANT.db.example.com with sslmode=require"))
})
