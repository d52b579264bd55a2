// Where a module asks for an export is found where it is code, and nowhere else.
import { expect, test } from "bun:test"
import { importOffset } from "../../src/config/named-import.ts"
import { scan, type CodeLoader } from "../../src/config/specifiers.ts"

/** What follows the place that was found: `^` in the text marks it. */
function found(text: string, loader: CodeLoader = "ts"): number | undefined {
  const sites = scan(text, loader).imports.filter(({ specifier }) => specifier === "tidegate")
  return importOffset(text, loader, sites, "geo")
}

const USED = [
  'import { ^geo } from "tidegate"\nuse(geo)',
  "import { deny, ^geo } from 'tidegate'; use(deny, geo)",
  'import { deny,^geo as where , next } from "tidegate"\nuse(deny, where, next)',
  'import {\n  deny, // import nothing, not even { geo } from here\n  ^geo,\n  type Connection,\n} from "tidegate"\nuse(deny, geo)',
  'import { /* import { geo } from */ deny, ^geo } from /* export */ "tidegate"\nuse(deny, geo)',
  'import { "geo" as x } from "./other.ts"; import { ^geo } from "tidegate"; use(x, geo)',
  'import { deny } from "tidegate"\nimport { ^geo } from "tidegate"\nuse(deny, geo)',
  'import { type Geo, ^geo } from "tidegate"; use(geo)',
  'export { ^geo } from "tidegate"',
  'export { deny, ^geo as where } from "tidegate"',
  'import * as tidegate from "tidegate"\nuse(^tidegate.geo(connection))',
  'import * as t$ from "tidegate"\n// t$_.geo\nuse(^t$ ?. geo(connection))',
  'import * as t from "tidegate"\nuse(^t["geo"](connection))',
  'import * as t from "tidegate"\nconst ^{ deny, geo } = t\nuse(deny, geo)',
  'const { ^geo } = await import("tidegate")\nuse(geo)',
  'const { ^geo } = require("tidegate")\nuse(geo)',
]

test.each(USED)("%j asks for it", (marked) => {
  const text = marked.replace("^", "")
  expect(found(text)).toBe(marked.indexOf("^"))
})

const UNUSED = [
  'import { deny } from "tidegate"\nuse(deny)',
  'import { deny as geo } from "tidegate"\nuse(geo)',
  'import { geometry, geos } from "tidegate"\nuse(geometry, geos)',
  'import { geo } from "./other.ts"\nimport { deny } from "tidegate"\nuse(geo, deny)',
  'import { deny } from "tidegate"\nconst geo = 1\nuse(deny, geo)',
  'import { deny /* , geo */ } from "tidegate" // { geo }\nuse(deny)',
  'import { deny, type geo } from "tidegate"\nuse(deny)',
  'import type { geo } from "tidegate"\nimport { deny } from "tidegate"\nuse(deny)',
  'import * as tidegate from "tidegate"\n// tidegate.geo is not used\nuse(tidegate.deny(), other.tidegate.geo, tidegate.geometry)',
  'import "tidegate"\nuse(geo)',
  'export * from "tidegate"\nuse(geo)',
  'const { deny } = await import("tidegate") // geo\nuse(deny)',
  "use(geo)",
]

test.each(UNUSED)("%j does not", (text) => {
  expect(found(text)).toBeUndefined()
})

test("an import that TypeScript drops asks for nothing, in JavaScript it does", () => {
  const text = 'import { geo } from "tidegate"\n'
  expect(found(text, "ts")).toBeUndefined()
  expect(found(text, "js")).toBe(9)
})
