import { expect, test } from "bun:test"
import { LONGEST_MESSAGE, readable } from "../../src/policy/thrown.ts"

test("whatever is thrown becomes an error whose name, message and stack are texts", () => {
  const broken = Object.assign(new Error("x"), { name: 5, message: { a: 1n }, stack: 5 })
  const things = [
    "text",
    5,
    undefined,
    null,
    Symbol("s"),
    {},
    Object.create(null),
    new Proxy(
      {},
      {
        get() {
          throw new Error("no")
        },
      },
    ),
    broken,
  ]
  for (const thing of things) {
    const { name, message, stack } = readable(thing)
    expect([typeof name, typeof message, typeof stack]).toEqual(["string", "string", "string"])
  }
})

test("a message is bounded, and an ordinary error keeps what it says", () => {
  expect(readable(new Error("x".repeat(5000))).message).toHaveLength(LONGEST_MESSAGE)
  const error = new TypeError("wrong")
  const { name, message, stack } = readable(error)
  expect({ name, message, stack }).toEqual({ name: "TypeError", message: "wrong", stack: error.stack! })
})
