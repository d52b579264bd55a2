// docs/ngrok.md: its tables have every action, variable, function and number that there is, and nothing else.
import { describe, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { ACTIONS } from "../../src/config/traffic-policy/actions/index.ts"
import { OVERLOADS } from "../../src/config/traffic-policy/cel/environment.ts"
import { VARIABLES } from "../../src/config/traffic-policy/cel/variables.ts"
import { ROOT } from "../helper/cli.ts"
import { manual } from "../helper/manuals.ts"

const { text } = manual("docs/ngrok.md")
const rows = text.split("\n").filter((line) => line.startsWith("| "))

function section(title: string): string {
  const [, rest = ""] = text.split(new RegExp(`^#+ ${title}$`, "m"))
  return rest.slice(0, /^#+ /m.exec(rest)?.index)
}

function isNamed(type: string): boolean {
  return rows.some((row) => row.split("|")[1]!.includes(`\`${type}\``)) || section(type).includes("| field |")
}

test("every action is in a table, or has a section", () => {
  expect([...ACTIONS.keys()].filter((type) => !isNamed(type))).toEqual([])
})

test("every variable is named, by its last word", () => {
  const said = new Set([...section("Variables").matchAll(/\w+/g)].map(([word]) => word))
  expect([...VARIABLES.keys()].filter((name) => !said.has(name.slice(name.lastIndexOf(".") + 1)))).toEqual([])
})

test("every function is named", () => {
  const said = new Set([...section("Functions").matchAll(/\w+/g)].map(([word]) => word))
  const names = [...OVERLOADS.keys()].filter((name) => /^[a-z]/i.test(name))
  expect(names.filter((name) => !said.has(name.slice(name.lastIndexOf(".") + 1)))).toEqual([])
})

describe("numbers of errors", () => {
  const table = section("Numbers of errors")
  const ranges = [...table.matchAll(/\b(\d{3,5})(?: to (\d{3,5}))?\b/g)].map(([, from, to]) => {
    return [Number(from), Number(to ?? from)] as const
  })

  test("has all that messages have", () => {
    const folder = join(ROOT, "src/config/traffic-policy")
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"))
    const source = files.map((name) => readFileSync(join(folder, name), "utf8")).join("\n")
    const used = [...source.matchAll(/ERR_NGROK_(\d+)|\bcode: (\d{3,5})\b/g)].map(([, a, b]) => Number(a ?? b))
    const missing = new Set(used.filter((number) => !ranges.some(([from, to]) => number >= from && number <= to)))
    expect([...missing]).toEqual([])
  })
})
