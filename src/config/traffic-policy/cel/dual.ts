// Values that are a text and an object at once, as ngrok's `conn.client_ip` and the subject of a certificate. For the
// library such a value is a map; what this project adds to it takes it for its text wherever a text is expected.
import { celMap, isCelMap, type CelInput, type CelMap } from "@bufbuild/cel"

/** Fields that are computed when they are read. */
export interface Fields {
  readonly names: Iterable<string>
  /** Also where it is not there: then what stands for nothing. `undefined` for what is no field. */
  get(name: string): CelInput | undefined
  has(name: string): boolean
}

const texts = new WeakMap<CelMap, string>()
const fieldsOf = new WeakMap<CelMap, Fields>()

/** A map of fields. */
export function objectOf(fields: Fields): CelMap {
  const map = celMap(new FieldMap(fields))
  fieldsOf.set(map, fields)
  return map
}

/** A text that has fields. */
export function dualOf(text: string, fields: Fields): CelMap {
  const map = objectOf(fields)
  texts.set(map, text)
  return map
}

/** A text, or the text of what is one too. */
export function textIn(value: unknown): string | undefined {
  if (typeof value === "string") return value
  return isCelMap(value) ? texts.get(value) : undefined
}

/** The text of what is one too; anything else as it is. */
export function undual<Value>(value: Value): Value | string {
  return isCelMap(value) ? (texts.get(value) ?? value) : value
}

/** Whether a map has a key; `null` is a value like any other. */
export function hasKey(map: CelMap, key: Parameters<CelMap["get"]>[0]): boolean {
  const fields = fieldsOf.get(map)
  if (fields !== undefined) return typeof key === "string" && fields.has(key)
  return map.get(key) !== undefined
}

/** The library reads maps through these methods alone. */
class FieldMap extends Map<string, CelInput> {
  readonly #fields: Fields

  constructor(fields: Fields) {
    super()
    this.#fields = fields
  }

  override get size(): number {
    return [...this.keys()].length
  }

  override get(name: string): CelInput | undefined {
    return typeof name === "string" ? this.#fields.get(name) : undefined
  }

  override has(name: string): boolean {
    return this.#fields.has(name)
  }

  override *keys(): MapIterator<string> {
    for (const name of this.#fields.names) if (this.#fields.has(name)) yield name
    return undefined
  }

  override *values(): MapIterator<CelInput> {
    for (const [, value] of this.entries()) yield value
    return undefined
  }

  override *entries(): MapIterator<[string, CelInput]> {
    for (const name of this.keys()) {
      const value = this.#fields.get(name)
      if (value !== undefined) yield [name, value]
    }
    return undefined
  }

  override [Symbol.iterator](): MapIterator<[string, CelInput]> {
    return this.entries()
  }

  override forEach(then: (value: CelInput, name: string, map: Map<string, CelInput>) => void): void {
    for (const [name, value] of this.entries()) then(value, name, this)
  }
}
