// The schema of tidegate.yaml as JSON Schema, for editors: draft 7, which all of them take.
import { JsonSchema, Schema } from "effect"
import { file } from "./file.ts"

type Json = JsonSchema.JsonSchema

/** The text of schema/tidegate.schema.json. */
export function jsonSchema(): string {
  const document = Schema.toJsonSchemaDocument(file, { onExcessProperty: "error" })
  const { definitions, schema } = JsonSchema.toDocumentDraft07(document)
  const { $ref, ...root } = schema
  const own = typeof $ref === "string" ? $ref.split("/").at(-1)! : undefined
  const others = Object.entries(definitions).filter(([name]) => name !== own)
  const whole = {
    $schema: JsonSchema.META_SCHEMA_URI_DRAFT_07,
    ...(own === undefined ? root : definitions[own]),
    title: "tidegate.yaml",
    definitions: Object.fromEntries(others),
  }
  return `${JSON.stringify(plain(whole), null, 2)}\n`
}

/** What stands in an `allOf` only to describe is said where it is: editors show that. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== "object" || value === null) return value
  const { allOf, ...rest } = Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]))
  if (!Array.isArray(allOf)) return allOf === undefined ? rest : { allOf, ...rest }
  const parts: Json[] = allOf
  const clash = parts.some((part, i) =>
    Object.keys(part).some((name) => name in rest || parts.some((other, j) => j < i && name in other)),
  )
  return clash ? { ...rest, allOf } : Object.assign({}, rest, ...parts)
}
