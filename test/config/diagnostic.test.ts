// How a problem is shown, also when what it quotes is hostile.
import { expect, test } from "bun:test"
import { diagnostic, placeAt, renderDiagnostic, shownPath } from "../../src/config/diagnostic.ts"
import { painter } from "../../src/observe/paint.ts"

test("the place comes first, then the message, the lines before it, a caret and the hint", () => {
  const text = "one\ntwo\nthree\n\tfour five\nsix"
  const place = placeAt("/p/a.ts", text, text.indexOf("five"))
  expect(place).toEqual({ path: "/p/a.ts", line: 4, column: 7 })
  expect(renderDiagnostic(diagnostic(place, "is wrong\nand more", "mend it", text))).toBe(
    `/p/a.ts:4:7 is wrong
  and more
  2 | two
  3 | three
> 4 |   four five
             ^
  hint: mend it`,
  )
})

test("without a line there is no frame, and a line that the text does not have gives none", () => {
  expect(renderDiagnostic(diagnostic({ path: "/p/a.ts" }, "is empty"))).toBe("/p/a.ts is empty")
  expect(renderDiagnostic(diagnostic({ path: "/p/a.ts", line: 9, column: 1 }, "is wrong", undefined, "x"))).toBe(
    "/p/a.ts:9:1 is wrong",
  )
  expect(renderDiagnostic(diagnostic({ path: "/nowhere/a.ts", line: 1, column: 1 }, "is wrong"))).toBe(
    "/nowhere/a.ts:1:1 is wrong",
  )
})

test("nothing that is quoted acts on a terminal", () => {
  const hostile = "\u001b]0;x\u0007\u001b[2J\r\u009b\u202e"
  const problem = diagnostic({ path: `/p/${hostile}.ts`, line: 1, column: 20 }, hostile, hostile, `${hostile}after`)
  const acting = [...renderDiagnostic(problem).replaceAll("\n", "")].filter((char) => /\p{Cc}|\p{Cf}/u.test(char))
  expect(acting).toEqual([])
})

test("a long line does not fill the screen, and line ends of Windows are not shown", () => {
  const problem = diagnostic({ path: "/p/a.ts", line: 2, column: 900 }, "x", undefined, `a\r\n${"b".repeat(1000)}\r\n`)
  expect(renderDiagnostic(problem).split("\n")).toEqual(["/p/a.ts:2:900 x", "  1 | a", `> 2 | ${"b".repeat(160)}...`])
})

test("colour is added only when it is asked for", () => {
  const problem = diagnostic({ path: "/p/a.ts", line: 1, column: 1 }, "x", "y", "z")
  expect(renderDiagnostic(problem)).not.toContain("\u001b")
  expect(Bun.stripANSI(renderDiagnostic(problem, painter(true)))).toBe(renderDiagnostic(problem))
  expect(renderDiagnostic(problem, painter(true))).toContain("\u001b[1m/p/a.ts:1:1\u001b[0m")
})

test("a path below the working directory is shown relative to it", () => {
  expect(shownPath(`${process.cwd()}/policies/a.ts`)).toBe("policies/a.ts")
  expect(shownPath(`${process.cwd()}/..a.ts`)).toBe("..a.ts")
  expect(shownPath("/elsewhere/a.ts")).toBe("/elsewhere/a.ts")
})
