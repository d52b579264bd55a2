// What a schema file says of a kind: how its body is read, and what is worth a look in one that is good.
import type { Schema } from "effect"
import { decoderOf, type Fault } from "../schema/faults.ts"

/** Something that is there and does nothing, or not what it seems to. */
export interface Note {
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly hint?: string
}

/** What is wrong with a body, or the body, and what is to be said of it. */
export type Taken<Body> =
  | { readonly value: Body; readonly notes: readonly Note[] }
  | { readonly faults: readonly Fault[] }

/** Reads a whole object, so that paths are whole; the head has been looked at. */
export type Shape<Body> = (value: unknown) => Taken<Body>

const NONE: readonly Note[] = []

/** What is not in the schema is a slip. The decoder is made once: documents come in thousands. */
export function strict<S extends Schema.ConstraintDecoder<unknown>>(
  schema: S,
  notes: (body: S["Type"]) => readonly Note[] = () => NONE,
): Shape<S["Type"]> {
  const decode = decoderOf(schema)
  return (value) => {
    const decoded = decode(value)
    return "faults" in decoded ? decoded : { value: decoded.value, notes: notes(decoded.value) }
  }
}

/** What clusters print: it has more fields than matter here, and names empty ones. */
export function lenient<S extends Schema.ConstraintDecoder<unknown>>(schema: S): Shape<S["Type"]> {
  const decode = decoderOf(schema, "ignore")
  return (value) => {
    const decoded = decode(withoutNulls(value, 0))
    return "faults" in decoded ? decoded : { value: decoded.value, notes: NONE }
  }
}

/** 32: no object nests as deep. */
const DEEPEST = 32

/** Go writes `null` for what is empty. */
function withoutNulls(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null || depth > DEEPEST) return value
  if (Array.isArray(value)) return value.map((item) => withoutNulls(item, depth + 1))
  const entries = Object.entries(value).filter(([, inner]) => inner !== null)
  return Object.fromEntries(entries.map(([name, inner]) => [name, withoutNulls(inner, depth + 1)]))
}
