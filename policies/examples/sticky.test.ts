import assert from "node:assert/strict"
import { test } from "node:test"
import { deny, route } from "tidegate"
import { connect } from "tidegate/testing"
import * as policy from "./sticky.ts"

/** CONNECT of MQTT 3.1.1: clean session, a keep-alive of 60 seconds. */
const connectAs = (id: string) =>
  `\x10${String.fromCharCode(12 + id.length)}\x00\x04MQTT\x04\x02\x00\x3c\x00${String.fromCharCode(id.length)}${id}`

test("a device goes by its id, wherever it connects from", async () => {
  for (const from of ["203.0.113.9", "[2001:db8::7]:4711"]) {
    const { decision, log } = await connect(policy, { from, bytes: connectAs("sensor-17") })
    assert.deepEqual(decision, route("brokers", { key: "sensor-17" }))
    assert.deepEqual(log, { device: "sensor-17" })
  }
})

test("a device without an id goes by its address", async () => {
  const { decision } = await connect(policy, { from: "203.0.113.9", bytes: connectAs("") })
  assert.deepEqual(decision, route("brokers"))
})

test("whoever does not speak MQTT is denied", async () => {
  const { decision } = await connect(policy, { from: "203.0.113.9", bytes: "GET / HTTP/1.1\r\n\r\n" })
  assert.deepEqual(decision, deny("does not speak MQTT"))
})
