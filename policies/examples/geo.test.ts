import assert from "node:assert/strict"
import { test } from "node:test"
import { deny, next } from "tidegate"
import { connect } from "tidegate/testing"
import * as policy from "./geo.ts"

const cases = [
  { geo: { country: "DE", asn: 64500 }, decision: next },
  { geo: { country: "US" }, decision: deny("not served in US") },
  { geo: { country: "DE", asn: 64496 }, decision: deny("AS64496 is a hosting provider") },
  { geo: {}, decision: next },
]

for (const { decision, geo } of cases) {
  test(`${JSON.stringify(geo)}: ${decision.action}`, async () => {
    const found = await connect(policy, { from: "203.0.113.9", to: "tcp://:5432", geo })
    assert.deepEqual(found.decision, decision)
    assert.deepEqual(found.log, JSON.parse(JSON.stringify(geo)))
  })
}
