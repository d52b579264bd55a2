// What is known of the type of an expression before it is evaluated. `dyn` is anything; `dual` is a text that has fields,
// as ngrok's `conn.client_ip`.
import type { CelFunc } from "@bufbuild/cel"

export type TypeName =
  | "bool"
  | "bytes"
  | "double"
  | "dual"
  | "duration"
  | "dyn"
  | "int"
  | "list"
  | "map"
  | "null"
  | "string"
  | "timestamp"
  | "type"
  | "uint"

export interface Type {
  readonly name: TypeName
  /** Of a list. */
  readonly element?: Type | undefined
}

export const BOOL: Type = { name: "bool" }
export const BYTES: Type = { name: "bytes" }
export const DOUBLE: Type = { name: "double" }
export const DUAL: Type = { name: "dual" }
export const DURATION: Type = { name: "duration" }
export const DYN: Type = { name: "dyn" }
export const INT: Type = { name: "int" }
export const LIST: Type = { name: "list" }
export const MAP: Type = { name: "map" }
export const NULL: Type = { name: "null" }
export const STRING: Type = { name: "string" }
export const STRINGS: Type = { name: "list", element: STRING }
export const TIMESTAMP: Type = { name: "timestamp" }
export const TYPE: Type = { name: "type" }
export const UINT: Type = { name: "uint" }

const NAMES: Readonly<Record<string, Type>> = {
  bool: BOOL,
  bytes: BYTES,
  double: DOUBLE,
  int: INT,
  list: LIST,
  map: MAP,
  null_type: NULL,
  string: STRING,
  type: TYPE,
  uint: UINT,
  "google.protobuf.Duration": DURATION,
  "google.protobuf.Timestamp": TIMESTAMP,
}

/** The library's type. */
export function typeOf({ name }: CelFunc["result"]): Type {
  return NAMES[name] ?? DYN
}

/** The type that a name in an expression stands for, as in `type(x) == string`. */
export function typeNamed(name: string): Type | undefined {
  return Object.hasOwn(NAMES, name) ? NAMES[name] : undefined
}

/** Whether a value of the one type may be where the other is expected. */
export function mayBe(given: Type, expected: Type): boolean {
  if (given.name === "dyn" || expected.name === "dyn" || given.name === expected.name) return true
  return given.name === "dual" && expected.name === "string"
}

/** Whether values of the two can be equal. */
export function mayEqual(a: Type, b: Type): boolean {
  if (mayBe(a, b) || mayBe(b, a)) return true
  // A null may be compared with anything, as `x == null` does.
  if (a.name === "null" || b.name === "null") return true
  return isNumber(a) && isNumber(b)
}

function isNumber({ name }: Type): boolean {
  return name === "int" || name === "uint" || name === "double"
}

/** What either of two values is. */
export function join(a: Type, b: Type): Type {
  return a.name === b.name ? (a.element === b.element ? a : { name: a.name }) : DYN
}

/** With its article, for messages. */
export function shown({ name }: Type): string {
  if (name === "dual" || name === "string") return "a string"
  if (name === "dyn") return "a value of any type"
  return name === "int" ? "an int" : name === "null" ? "null" : `a ${name}`
}
