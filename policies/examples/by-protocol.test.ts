import assert from "node:assert/strict"
import { test } from "node:test"
import { deny, route } from "tidegate"
import { connect } from "tidegate/testing"
import * as policy from "./by-protocol.ts"

const cases = [
  { what: "SSH", bytes: "SSH-2.0-OpenSSH_9.6\r\n", target: "tcp://bastion.internal:22" },
  { what: "HTTP", bytes: "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", target: "tcp://web.internal:80" },
  {
    what: "HTTP of the API",
    bytes: "GET /api/1 HTTP/1.1\r\nHost: example.com\r\n\r\n",
    target: "tcp://api.internal:80",
  },
  { what: "PostgreSQL", postgres: { user: "ana" }, target: "tcp://postgres.internal:5432" },
  { what: "PostgreSQL with TLS", postgres: {}, tls: {}, target: "tcp://postgres.internal:5432" },
  { what: "nothing, as MySQL clients do", target: "tcp://mysql.internal:3306" },
]

for (const { what, target, ...facts } of cases) {
  test(`from the office, a client that speaks ${what} reaches ${target}`, async () => {
    const { decision } = await connect(policy, { from: "10.1.2.3", ...facts })
    assert.deepEqual(decision, route(target))
  })
}

test("a client of another protocol is told so, and one of none is denied", async () => {
  const redis = await connect(policy, { from: "10.1.2.3", bytes: "*1\r\n$4\r\nPING\r\n" })
  assert.deepEqual(redis.decision, deny("redis is not served here", { inBand: true }))
  const unknown = await connect(policy, { from: "10.1.2.3", bytes: "\x01\x02\x03\x04 what is that" })
  assert.deepEqual(unknown.decision, deny("what you speak is not served here", { inBand: true }))
})

test("from elsewhere, everybody is told where to come from, also a client that is silent", async () => {
  const http = await connect(policy, { from: "203.0.113.9", bytes: "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n" })
  assert.deepEqual(http.decision, deny("from the office only", { inBand: true }))
  const mysql = await connect(policy, { from: "203.0.113.9" })
  assert.deepEqual(mysql.decision, deny("from the office only", { inBand: "mysql" }))
})
