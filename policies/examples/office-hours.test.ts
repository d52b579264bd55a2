import assert from "node:assert/strict"
import { test } from "node:test"
import { connect } from "tidegate/testing"
import * as policy from "./office-hours.ts"

const cases = [
  { at: "2026-01-14T06:59:00Z", when: "7:59 on a Wednesday in winter", action: "respond" },
  { at: "2026-01-14T07:00:00Z", when: "8:00 on a Wednesday in winter", action: "next" },
  { at: "2026-07-15T06:00:00Z", when: "8:00 on a Wednesday in summer", action: "next" },
  { at: "2026-07-15T15:59:59Z", when: "17:59 on a Wednesday in summer", action: "next" },
  { at: "2026-07-15T16:00:00Z", when: "18:00 on a Wednesday in summer", action: "respond" },
  { at: "2026-07-18T10:00:00Z", when: "noon on a Saturday", action: "respond" },
]

for (const { at, when, action } of cases) {
  test(`${when}: ${action}`, async () => {
    const { decision } = await connect(policy, { from: "203.0.113.9", at: new Date(at) })
    assert.equal(decision.action, action)
  })
}
