// What to say of a call that no function fits, or that does something else than it seems to.
import type { Overload } from "./environment.ts"
import { labelOfFunction } from "./failure.ts"
import type { Seen } from "./walk.ts"
import type { CelProblem } from "./problem.ts"
import type { Refusal } from "./refusals.ts"
import { mayBe, shown, type Type } from "./type.ts"

/** Texts that hold numbers, because ngrok has them so, and the numbers that are there instead. */
const TEXTS_OF_NUMBERS: Readonly<Record<string, string | undefined>> = {
  latitude: "latitude_degrees",
  longitude: "longitude_degrees",
  metro_code: undefined,
  radius: "radius_km",
}

export function wrongCall(
  name: string,
  group: readonly Overload[],
  of: Seen | undefined,
  given: readonly Seen[],
): Refusal {
  const isOperator = !/^[a-zA-Z]/.test(name)
  const label = labelOfFunction(name)
  if (isOperator) {
    const [left, right] = given
    const types = given.map(({ type }) => shown(type)).join(" and ")
    const isText = name === "@in" && (right?.type.name === "string" || right?.type.name === "dual")
    const hint = left === undefined || right === undefined ? "" : typeHint(left, right)
    if (isText) return [`in looks into lists and maps, found ${types}`, "write text.contains(part)"]
    return [`${label === "in" ? "in" : label} does not take ${types}`, hint]
  }
  const kind = group.filter(({ target }) => (target === undefined) === (of === undefined))
  if (kind.length === 0)
    return of === undefined
      ? [`${name} is a method`, `write value.${name}(...)`]
      : [`${name} is no method`, `write ${name}(...)`]
  const counts = [...new Set(kind.map(({ parameters }) => parameters.length))].sort((a, b) => a - b)
  if (!counts.includes(given.length))
    return [`${label} takes ${countOf(counts)}, found ${given.length}`, `it is ${signatures(name, kind)}`]
  const same = kind.filter(({ parameters }) => parameters.length === given.length)
  if (of !== undefined && same.every(({ target }) => target !== undefined && !mayBe(of.type, target)))
    return [`${shown(of.type)} has no method ${name}`, timeHint(of.type) ?? `it is ${signatures(name, kind)}`]
  const wrong = given.find((arg, i) => same.every(({ parameters }) => !mayBe(arg.type, parameters[i] ?? arg.type)))
  const found = wrong === undefined ? given.map(({ type }) => shown(type)).join(" and ") : shown(wrong.type)
  return [`${label} does not take ${found} here`, `it is ${signatures(name, kind)}`]
}

function countOf(counts: readonly number[]): string {
  const last = counts.at(-1) ?? 0
  return `${counts.length === 1 ? last : `${counts.slice(0, -1).join(", ")} or ${last}`} argument${last === 1 ? "" : "s"}`
}

/** 3 are enough to see how a function is called. */
const SHOWN_SIGNATURES = 3

function signatures(name: string, group: readonly Overload[]): string {
  return group
    .slice(0, SHOWN_SIGNATURES)
    .map(({ parameters, target }) => {
      const args = parameters.map((type) => type.name).join(", ")
      return target === undefined ? `${name}(${args})` : `${target.name}.${name}(${args})`
    })
    .join(" or ")
}

/** How to compare two values of different types. */
export function typeHint(left: Seen, right: Seen): string {
  const number = numberOf(left) ?? numberOf(right)
  if (number !== undefined) return number
  const types = [left.type.name, right.type.name]
  const [text, other] = left.type.name === "string" || left.type.name === "dual" ? [left, right] : [right, left]
  const isText = text.type.name === "string" || text.type.name === "dual"
  if (isText && other.type.name === "timestamp") return 'a time is written timestamp("2026-01-31T12:00:00Z")'
  if (isText && other.type.name === "duration") return 'a duration is written duration("90s")'
  if (isText && ["int", "double", "uint"].includes(other.type.name))
    return text.isConstant ? "write the number without quotes" : `write ${other.type.name}(...) around the string`
  if (isText && other.type.name === "bool" && text.isConstant) return "write true or false without quotes"
  if (isText && other.type.name === "list") return "write value in list, or list.exists(x, x == value)"
  return types.includes("map") ? "write .name behind the map for one of its values" : ""
}

function numberOf({ path }: Seen): string | undefined {
  const last = path?.slice(path.lastIndexOf(".") + 1) ?? ""
  if (path === undefined || !Object.hasOwn(TEXTS_OF_NUMBERS, last)) return undefined
  const instead = TEXTS_OF_NUMBERS[last]
  const other = instead === undefined ? "" : `, or ${path.slice(0, -last.length)}${instead}, which is a number`
  return `${path} is a string, as ngrok has it: write double(${path})${other}`
}

function timeHint({ name }: Type): string | undefined {
  return name === "timestamp" ? "write string(...) around the time, or a method such as getHours()" : undefined
}

/** `conn.geo.radius <= '5'` compares texts: `'10' <= '5'` is true. */
export function textsOfNumbers(name: string, given: readonly Seen[]): CelProblem | undefined {
  const [left, right] = given
  if (left === undefined || right === undefined || !/^_[<>]=?_$/.test(name)) return undefined
  const hint = numberOf(left) ?? numberOf(right)
  if (hint === undefined) return undefined
  return {
    offset: left.start,
    length: right.end - left.start,
    message: "it compares texts, letter by letter: '10' comes before '5'",
    hint,
    code: "ERR_NGROK_2200",
    severity: "warning",
  }
}
