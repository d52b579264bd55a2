// Values of any shape whose texts may have `${}`.
import type { DeepTemplate, Json } from "./cel/index.ts"
import { compileDeep } from "./cel/index.ts"
import type { Path } from "./complaints.ts"
import type { Fields } from "./fields.ts"

/** @param within where in the field the value stands */
export function readDeep(fields: Fields, name: string, value: unknown, within: Path = []): DeepTemplate | undefined {
  const path = [...fields.at(name), ...within]
  if (!isJson(value)) {
    fields.complaints.error(path, "expected texts, numbers, booleans, lists and maps", { code: 2203 })
    return undefined
  }
  const { problems, program } = compileDeep(value)
  for (const problem of problems) {
    const at = [...path, ...problem.path]
    fields.complaints.inText(at, textAt(value, problem.path), [problem])
  }
  return program
}

/** What documents are made of is JSON, but for numbers that are none. */
function isJson(value: unknown): value is Json {
  if (value === null || typeof value === "string" || typeof value === "boolean" || typeof value === "number")
    return true
  if (Array.isArray(value)) return value.every(isJson)
  return typeof value === "object" && Object.values(value).every(isJson)
}

function textAt(value: Json, path: readonly (string | number)[]): string {
  let at: unknown = value
  for (const step of path) at = typeof at === "object" && at !== null ? Reflect.get(at, step) : undefined
  return typeof at === "string" ? at : ""
}
