// What the schemas of the configuration are made of: values with their ranges, said once for checks, messages, editors
// and the reference page.
import { Schema } from "effect"
import { milliseconds } from "../../policy/duration.ts"
import { parseByteRate } from "../../policy/byte-rate.ts"

/** What people are told of an option. */
interface Notes<A> extends Schema.Annotations.Key<A> {
  readonly description: string
  /** The default where it is not a value: `"no limit"`. */
  readonly otherwise?: string
}

/** An option that may be left out. */
export function optional<S extends Schema.Top>(schema: S, notes: Notes<S["Type"]>): Schema.optionalKey<S> {
  return Schema.annotateKey<Schema.optionalKey<S>>(notes)(Schema.optionalKey(schema))
}

/** An option that has to be there. */
export function required<S extends Schema.Top>(schema: S, notes: Notes<S["Type"]>): S["Rebuild"] {
  return Schema.annotateKey<S>(notes)(schema)
}

/** A whole number. */
export function whole(minimum: number, maximum: number) {
  const range = `${grouped(minimum)} to ${grouped(maximum)}`
  const expected = `a whole number from ${range}`
  return Schema.Number.check(
    Schema.isFinite({ expected }),
    Schema.isInt({ expected }),
    Schema.isBetween({ minimum, maximum }, { expected }),
  ).annotate({ expected, range, kind: "whole number" })
}

/** A number with or without a fraction. */
export function between(minimum: number, maximum: number, options: { above?: boolean } = {}) {
  const range = `${options.above === true ? "above " : ""}${grouped(minimum)} to ${grouped(maximum)}`
  const expected = `a number ${options.above === true ? "" : "from "}${range}`
  return Schema.Number.check(
    Schema.isFinite({ expected }),
    Schema.isBetween({ minimum, maximum, exclusiveMinimum: options.above === true }, { expected }),
  ).annotate({ expected, range, kind: "number" })
}

/** Texts of so many characters. */
export function text(shortest: number, longest: number, what = "a text") {
  const range = `${grouped(shortest)} to ${grouped(longest)} characters`
  const expected = `${what} of ${range}`
  return Schema.String.check(
    Schema.isMinLength(shortest, { expected }),
    Schema.isMaxLength(longest, { expected }),
  ).annotate({ expected, range, kind: "text" })
}

/**
 * A text that a parser takes; what the parser throws is the message.
 * @param pattern what editors see of the parser: it takes all that the parser takes
 */
export function parsed(parse: (text: string) => unknown, kind: string, pattern: string) {
  return Schema.String.check(
    Schema.makeFilter((value: string) => complaint(() => parse(value)), { toJsonSchema: () => [{ pattern }, true] }),
  ).annotate({ expected: kind, kind })
}

export const flag = Schema.Boolean.annotate({ expected: "true or false", kind: "`true`, `false`" })

/** The version of a PROXY header. */
export const headerVersion = Schema.Literals([1, 2]).annotate({ expected: "1 or 2", kind: "`1`, `2`" })

/** One of several words. */
export function word<const Words extends readonly string[]>(words: Words) {
  const shown = words.map((one) => JSON.stringify(one))
  return Schema.Literals(words).annotate({
    expected: `${shown.slice(0, -1).join(", ")} or ${shown.at(-1)}`,
    words,
    kind: shown.map((one) => `\`${one}\``).join(", "),
  })
}

/** 30 days: as milliseconds() has it. */
const LONGEST = 30 * 864e5
const DURATION = /^\s*\d+(\.\d+)?\s*[A-Za-z]+\s*$/u

/** A duration; `shortest` and `longest` in milliseconds. */
export function duration(shortest: number, longest: number = LONGEST) {
  const range = `${shown(shortest)} to ${shown(longest)}`
  const expected = `a duration like "5 seconds", from ${range}`
  return Schema.Union([
    Schema.String.check(Schema.isPattern(DURATION, { expected })),
    Schema.Number.check(
      Schema.isFinite({ expected }),
      Schema.isBetween({ minimum: shortest, maximum: longest }, { expected }),
    ),
  ])
    .check(
      Schema.makeFilter(
        (value: string | number) => {
          const found = quietly(() => milliseconds(value, ""))
          return found !== undefined && found >= shortest && found <= longest
        },
        { expected },
      ),
    )
    .annotate({ expected, range, kind: "duration" })
}

const RATE = "rate"

/** Bytes per second. */
export const byteRate = Schema.Union([Schema.String, Schema.Number.check(Schema.isFinite())])
  .check(
    Schema.makeFilter((value: string | number) => complaint(() => parseByteRate(value, RATE))?.slice(RATE.length + 2)),
  )
  .annotate({
    expected: 'bytes per second, like "512 KiB", "10 MB/s" or a number',
    range: "1 byte to 1 TB",
    kind: "bytes per second",
  })

/** What went wrong, in the words of whoever threw it. */
export function complaint(check: () => unknown): string | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function quietly<A>(read: () => A): A | undefined {
  try {
    return read()
  } catch {
    // That it cannot be read is all that is asked; the message names the whole range.
    return undefined
  }
}

const UNITS = [
  [864e5, "day"],
  [36e5, "hour"],
  [6e4, "minute"],
  [1e3, "second"],
] as const

function shown(duration: number): string {
  for (const [size, unit] of UNITS) {
    if (duration >= size && duration % size === 0) return `${duration / size} ${unit}${duration === size ? "" : "s"}`
  }
  return `${duration} ms`
}

/** 1,000,000. */
export function grouped(value: number): string {
  return value.toLocaleString("en-US")
}
