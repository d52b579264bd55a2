import { expect, test } from "bun:test"
import { LogFields, LOG_LIMIT } from "../../src/policy/log-fields.ts"

/** Fields whose JSON has exactly this many bytes: `{"a":"..."}` has eight around its text. */
const sized = (bytes: number) => ({ a: "x".repeat(bytes - 8) })

test("sets are kept in order, as they were when they were logged", () => {
  const log = new LogFields()
  const fields = { user: "ana", tags: ["a"] }
  log.add(fields)
  fields.tags.push("b")
  log.add({ at: new Date(0), gone: undefined })
  expect(log.all()).toEqual([{ user: "ana", tags: ["a"] }, { at: "1970-01-01T00:00:00.000Z" }])
})

test("4 KiB of JSON fit; the set that goes over and all after it are dropped, with one mark", () => {
  const log = new LogFields()
  log.add(sized(LOG_LIMIT - 10))
  log.add(sized(10))
  log.add(sized(9))
  log.add(sized(9))
  expect(log.all()).toEqual([sized(LOG_LIMIT - 10), sized(10), { truncated: true }])
})

test("the limit counts bytes, not characters", () => {
  const log = new LogFields()
  log.add({ a: "é".repeat(2100) })
  expect(log.all()).toEqual([{ truncated: true }])
})

test.each([["x"], [5], [null], [undefined], [[1]], [{ toJSON: () => undefined }]])(
  "%p is no object of fields",
  (fields) => {
    expect(() => new LogFields().add(fields as never)).toThrow(TypeError)
  },
)

test("what is not JSON is refused, and leaves nothing behind", () => {
  const log = new LogFields()
  const round: Record<string, unknown> = {}
  round["round"] = round
  expect(() => log.add(round)).toThrow(TypeError)
  expect(() => log.add({ big: 10n })).toThrow(TypeError)
  expect(log.all()).toEqual([])
})
