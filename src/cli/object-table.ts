// The conditions of the Kubernetes objects of manifests, as a table.
import type { Paint } from "../observe/paint.ts"
import { printable } from "../observe/printable.ts"

/** An object as a cluster would print it, as far as it is looked at here. */
export interface ShownObject {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly status?: Readonly<Record<string, unknown>>
}

interface Condition {
  readonly type: string
  readonly status: string
  readonly reason: string
  readonly message: string
}

interface Row {
  readonly object: string
  readonly part: string
  readonly condition: Condition
}

/** 200 rows: of more, only those that say that something is not as it should be. */
const MOST_ROWS = 200
/** 120 characters: the whole message is in `status -o yaml`. */
const LONGEST_MESSAGE = 120
/** Conditions that are good news when they are not `True`. */
const NEGATIVE =
  /^(?:Conflicted|OverlappingTLSConfig|PartiallyInvalid|InsecureFrontendValidationMode|(?:.*\/)?Superseded)$/

/** Lines; none where there are no conditions. */
export function objectTable(paint: Paint, objects: readonly ShownObject[]): string[] {
  const all = objects.flatMap(rowsOf)
  if (all.length === 0) return []
  const rows = all.length > MOST_ROWS ? all.filter(({ condition }) => !isGood(condition)) : all
  const shown = rows.slice(0, MOST_ROWS)
  const cells = shown.map(({ condition: { message, reason, status, type }, object, part }) => [
    object,
    part,
    type,
    status,
    reason,
    message.length > LONGEST_MESSAGE ? `${message.slice(0, LONGEST_MESSAGE)}...` : message,
  ])
  const left = all.length - shown.length
  return [
    ...(shown.length === 0
      ? []
      : table(
          paint,
          cells,
          shown.map(({ condition }) => isGood(condition)),
        )),
    ...(left > 0
      ? [`and ${left} more conditions${rows.length === shown.length ? ", all as they should be" : ""}`]
      : []),
  ]
}

const HEADS = ["OBJECT", "PART", "CONDITION", "STATUS", "REASON", "MESSAGE"]

function table(paint: Paint, rows: readonly (readonly string[])[], good: readonly boolean[]): string[] {
  const safe = rows.map((row) => row.map((cell) => printable(cell)))
  const widths = HEADS.map((head, i) => Math.max(head.length, ...safe.map((row) => row[i]!.length)))
  const line = (row: readonly string[]) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!)))
  return [
    paint("dim", line(HEADS).join("  ")),
    ...safe.map((row, i) => {
      const padded = line(row)
      padded[3] = paint(good[i] === true ? "green" : "red", padded[3]!)
      return padded.join("  ")
    }),
  ]
}

function isGood({ status, type }: Condition): boolean {
  return NEGATIVE.test(type) ? status !== "True" : status === "True"
}

function rowsOf({ kind, metadata: { name, namespace = "" }, status = {} }: ShownObject): Row[] {
  const object = `${kind} ${namespace === "" ? name : `${namespace}/${name}`}`
  const row = (part: string) => (condition: Condition) => ({ object, part, condition })
  return [
    ...conditionsOf(status).map(row("")),
    ...listOf(status["listeners"]).flatMap((each) => conditionsOf(each).map(row(textOf(each["name"])))),
    ...listOf(status["parents"]).flatMap((each) => conditionsOf(each).map(row(referenceOf(each["parentRef"])))),
    ...listOf(status["ancestors"]).flatMap((each) => conditionsOf(each).map(row(referenceOf(each["ancestorRef"])))),
  ]
}

type Loose = Readonly<Record<string, unknown>>

function conditionsOf(owner: Loose): Condition[] {
  return listOf(owner["conditions"]).map(({ message, reason, status, type }) => ({
    type: textOf(type),
    status: textOf(status),
    reason: textOf(reason),
    message: textOf(message),
  }))
}

function referenceOf(reference: unknown): string {
  if (!isLoose(reference)) return ""
  const { name, port, sectionName } = reference
  return [textOf(name), textOf(sectionName ?? port)].filter((part) => part !== "").join("/")
}

function listOf(value: unknown): Loose[] {
  return Array.isArray(value) ? value.filter(isLoose) : []
}

function isLoose(value: unknown): value is Loose {
  return typeof value === "object" && value !== null
}

function textOf(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : ""
}
