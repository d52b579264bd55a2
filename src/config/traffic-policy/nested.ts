// Maps within an action's config.
import { describe } from "../../policy/describe.ts"
import { Fields } from "./fields.ts"

/** The fields of a map; `undefined` where there is none. */
export function readMap(fields: Fields, name: string): Fields | undefined {
  const value = fields.get(name)
  if (value === undefined) return undefined
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return fields.error(name, `expected an object, found ${describe(value)}`, { code: 2203 })
  return new Fields(fields.complaints, fields.at(name), name, value as Readonly<Record<string, unknown>>)
}
