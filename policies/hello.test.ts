import assert from "node:assert/strict"
import { test } from "node:test"
import { bodyText, connect } from "tidegate/testing"
import * as hello from "./hello.ts"

test("greets the client by its address", async () => {
  const { decision } = await connect(hello, { from: "203.0.113.9", to: "tcp://127.0.0.1:9000" })
  assert.equal(await bodyText(decision), "Hello 203.0.113.9, this is Tidegate.\n")
})
