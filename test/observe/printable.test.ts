import { expect, test } from "bun:test"
import { printable, printableJson } from "../../src/observe/printable.ts"

test("what could act on a terminal is escaped", () => {
  expect(printable("\u001b[2Jclear\r\n\ttab\u0007 \u009b31m del\u007f")).toBe(
    "\\e[2Jclear\\r\\n\\ttab\\x07 \\x9b31m del\\x7f",
  )
  expect(printable("a\u202eb\u2066c\u200bd\ufeffe\u2028f\u{e0041}g\ud800")).toBe(
    "a\\u{202e}b\\u{2066}c\\u{200b}d\\u{feff}e\\u{2028}f\\u{e0041}g\\u{d800}",
  )
})

test("ordinary text of any language stays as it is", () => {
  const text = "Grüße, 日本語, العربية, 🦜 'quotes' \\ \"more\""
  expect(printable(text)).toBe(text)
})

test("a long text is cut", () => {
  expect(printable("x".repeat(50), 10)).toBe(`${"x".repeat(10)}...`)
})

test("JSON is made safe without changing what it says", () => {
  const value = { sni: "a\u202e\u009b2J\u{e0041}b", plain: "日本語" }
  const line = printableJson(JSON.stringify(value))
  expect(line).toBe('{"sni":"a\\u202e\\u009b2J\\udb40\\udc41b","plain":"日本語"}')
  expect(JSON.parse(line)).toEqual(value)
})
