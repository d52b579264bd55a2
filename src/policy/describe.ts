// Says what was found instead of what was expected.

/** A short, safe description of any value for a message. */
export function describe(value: unknown): string {
  if (value === null) return "null"
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value)
  if (typeof value === "function")
    return `a function${value.name ? ` (${value.name})` : ""}; was it meant to be called?`
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list"
  if (typeof value === "object") {
    const name: unknown = value.constructor?.name
    return typeof name !== "string" || name === "Object" ? "an object" : `a ${name}`
  }
  return String(value)
}
