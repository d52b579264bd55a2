// A policy that asks geo() is bad where there is no database, before any connection comes.
import { expect, test } from "bun:test"
import { policy, PolicyFolder, problems, states } from "./policy-folder.ts"

const ASKS = policy("geo", { before: 'import { geo } from "tidegate"' })
const NEEDS = "geo() needs a database: start with --geoip FOLDER (MaxMind's *.mmdb files)"

test("without a database the import is a problem, at its place", async () => {
  await using folder = new PolicyFolder({ "a.ts": ASKS, "b.ts": policy('"b"', { port: 9001 }) })
  const loaded = await folder.loader().reload()
  expect(problems(loaded, folder)).toEqual([`a.ts:1:10 ${NEEDS}`])
  expect(states(loaded)).toEqual({ "a.ts": "bad", "b.ts": "good" })
})

test("also in a file that a policy imports", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("land", { before: 'import { land } from "./lib/land.ts"' }),
    "lib/land.ts": 'import * as tidegate from "tidegate"\nexport const land = (c) => tidegate.geo(c).country\n',
  })
  const loaded = await folder.loader().reload()
  expect(problems(loaded, folder)).toEqual([`lib/land.ts:2:28 ${NEEDS}`])
  expect(loaded.problems[0]!.hint).toBe("imported by a.ts")
})

test("with one it is none", async () => {
  await using folder = new PolicyFolder({ "a.ts": ASKS })
  const loaded = await folder.loader({ hasDatabases: true }).reload()
  expect(problems(loaded, folder)).toEqual([])
})

test("a file that begins to ask is kept as it was", async () => {
  await using folder = new PolicyFolder({ "a.ts": policy('"a"') })
  const loader = folder.loader()
  await loader.reload()
  folder.write("a.ts", ASKS)
  const loaded = await loader.reload()
  expect(problems(loaded, folder)).toEqual([`a.ts:1:10 ${NEEDS}`])
  expect(states(loaded)).toEqual({ "a.ts": "kept" })
})
