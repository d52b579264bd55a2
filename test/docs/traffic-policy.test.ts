// docs/traffic-policy.md: its policies are read without a word, and its table has every action and every field.
import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { ACTIONS } from "../../src/config/traffic-policy/actions/index.ts"
import { ALONE, read } from "../config/traffic-policy/policy-of.ts"

const page = readFileSync(join(import.meta.dir, "../../docs/traffic-policy.md"), "utf8")
const blocks = [...page.matchAll(/^```yaml\n([^]*?)^```/gm)].map((match) => match[1]!)

test.each(blocks.map((text, i) => [i, text] as const))("the policy in block %i is right", (_, text) => {
  const { problems, warnings } = read(text, ALONE)
  expect([...problems, ...warnings].map(({ message }) => message)).toEqual([])
})

test("every action is in a table", () => {
  const rows = page.split("\n").filter((line) => line.startsWith("| `"))
  for (const type of ACTIONS.keys()) expect(rows.some((row) => row.split("|")[1]!.includes(`\`${type}\``))).toBe(true)
})
