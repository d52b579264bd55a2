// One rule of a policy: its expressions and its actions.
import { describe } from "../../policy/describe.ts"
import { didYouMean, suggest } from "../../policy/suggest.ts"
import type { ReadAction, Where } from "./action.ts"
import { compileExpression, type Expression, type Read } from "./cel/index.ts"
import type { Complaints, Path } from "./complaints.ts"
import { readAction, typeOf } from "./read-action.ts"
import type { Situation } from "./situation.ts"

/** 100 expressions and 100 actions: rules that people write have a handful of each. */
const MOST_PER_RULE = 100
const FIELDS = ["name", "expressions", "actions"]

export interface ReadRule {
  readonly path: Path
  /** Its name, or its place. */
  readonly title: string
  readonly expressions: readonly { readonly program: Expression; readonly place: string }[]
  /** It has no expression, or none that can be false. */
  readonly always: boolean
  readonly actions: readonly { readonly action: ReadAction; readonly path: Path }[]
}

/** What the rules before have left behind, as far as the text says. */
export interface Before {
  terminates: boolean
  /** Whether TLS has ended by now, for every connection. */
  endsTls: boolean
  readonly vars: Set<string>
  readonly results: Set<string>
}

/** `undefined` where something is wrong, which was complained of. */
export function readRule(
  complaints: Complaints,
  path: Path,
  value: unknown,
  situation: Situation,
  before: Before,
): ReadRule | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    complaints.error(path, `expected a rule with expressions and actions, found ${describe(value)}`, { code: 2236 })
    return undefined
  }
  const errors = complaints.errorCount
  const { actions, expressions, name } = value as { readonly [Name in "actions" | "expressions" | "name"]?: unknown }
  for (const field of Object.keys(value)) if (!FIELDS.includes(field)) unknownField(complaints, path, field, value)
  if (typeof name === "object" && name !== null)
    complaints.error([...path, "name"], `expected a text, found ${describe(name)}`, { code: 2236 })
  const title = titleOf(name) ?? shownPath(path)
  const compiled = readExpressions(complaints, [...path, "expressions"], expressions)
  for (const { path: at, program } of compiled) {
    checkReads(complaints, at, program.text, program.reads, before)
    complaints.looksUp(at, program.needs)
  }
  const read = readActions(complaints, path, actions, { situation, title }, before)
  const always = compiled.every(({ program }) => isTrue(program))
  before.endsTls ||= always && read.some(({ action }) => action.terminates === true)
  if (complaints.errorCount > errors) return undefined
  return {
    path,
    title,
    expressions: compiled
      .filter(({ program }) => !isTrue(program))
      .map(({ path: at, program }) => ({ program, place: complaints.shownPlace(at) })),
    always,
    actions: read,
  }
}

/** ngrok takes any scalar. */
function titleOf(name: unknown): string | undefined {
  if (typeof name === "string") return name === "" ? undefined : name
  return typeof name === "number" || typeof name === "boolean" ? String(name) : undefined
}

function isTrue({ text }: Expression): boolean {
  return text.trim() === "true"
}

function shownPath(path: Path): string {
  return path.map((step) => (typeof step === "number" ? `[${step}]` : String(step))).join("")
}

function unknownField(complaints: Complaints, path: Path, field: string, rule: object): void {
  const substitutes: Readonly<Record<string, string>> = {
    type: "`type` stands in an action: write actions: [{ type: ... }]",
    config: "`config` stands in an action, beside its type",
    expression: "",
    action: "",
    if: 'conditions are "expressions", a list of CEL texts',
    when: 'conditions are "expressions", a list of CEL texts',
    on_error: "`on_error` stands in the config of forward-internal and forward",
    enabled: "a rule cannot be switched off: take it out, or give it an expression that is false",
  }
  const hint = Object.hasOwn(substitutes, field) ? substitutes[field] : undefined
  const meant = suggest(field, FIELDS) ?? FIELDS.find((known) => known === `${field}s`)
  const near = meant === undefined || meant in rule ? "" : `; did you mean ${JSON.stringify(meant)}?`
  complaints.error(
    [...path, field],
    `a rule has no field ${JSON.stringify(field)}${near || `; known are ${FIELDS.join(", ")}`}`,
    {
      code: 2236,
      what: "key",
      hint: hint === "" ? undefined : hint,
    },
  )
}

function readExpressions(
  complaints: Complaints,
  path: Path,
  value: unknown,
): readonly { readonly path: Path; readonly program: Expression }[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) {
    const hint = typeof value === "string" ? `write a list: expressions: [${JSON.stringify(value)}]` : undefined
    complaints.error(path, `expected a list of CEL expressions, found ${describe(value)}`, { code: 2200, hint })
    return []
  }
  if (value.length > MOST_PER_RULE) {
    complaints.error(path, `${value.length} expressions; a rule has at most ${MOST_PER_RULE}`, { code: 2265 })
    return []
  }
  return value.flatMap((text: unknown, i) => {
    const at = [...path, i]
    if (typeof text !== "string" || text.trim() === "") {
      const found = typeof text === "string" ? "an empty text" : describe(text)
      const hint =
        typeof text === "boolean" || typeof text === "number"
          ? `an expression is a text: write "${String(text)}" with quotes`
          : undefined
      complaints.error(at, `expected a CEL expression, found ${found}`, { code: 2200, hint })
      return []
    }
    const { problems, program } = compileExpression(text)
    complaints.inText(at, text, problems)
    return program === undefined ? [] : [{ path: at, program }]
  })
}

function readActions(
  complaints: Complaints,
  rule: Path,
  value: unknown,
  where: Pick<Where, "situation" | "title">,
  before: Before,
): ReadRule["actions"] {
  const path = [...rule, "actions"]
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) {
    const at = value === undefined ? rule : path
    complaints.error(at, "a rule needs at least one action, like actions: [{ type: deny }]", { code: 2206 })
    return []
  }
  if (!Array.isArray(value)) {
    const hint = typeof value === "object" ? 'write a list: "- type: ..."' : undefined
    complaints.error(path, `expected a list of actions, found ${describe(value)}`, { code: 2236, hint })
    return []
  }
  if (value.length > MOST_PER_RULE) {
    complaints.error(path, `${value.length} actions; a rule has at most ${MOST_PER_RULE}`, { code: 2265 })
    return []
  }
  let ended: string | undefined
  let isSaid = false
  let isPlain = false
  return value.flatMap((entry: unknown, i) => {
    const at = [...path, i]
    const action = readAction(complaints, at, entry, { ...where, afterTerminate: before.terminates })
    if (ended !== undefined && !isSaid) {
      isSaid = true
      const message = `${unreached(typeOf(entry), value.length - i - 1)} never reached: ${ended} before ends the policy`
      complaints.error(at, message, { code: 2207, hint: `put it before ${ended}, or take it out` })
    }
    if (action === undefined) return []
    for (const { at: place, text, reads } of programsOf(action, at)) checkReads(complaints, place, text, reads, before)
    for (const { needs } of action.programs) complaints.looksUp([...at, "config"], needs)
    if (action.decides === "always") ended ??= action.type
    if (action.terminates === true && (isPlain || before.endsTls))
      complaints.error(at, "TLS has ended already where this runs, and it ends once", {
        hint: "take it out, or give the rules of both expressions of which one is true",
      })
    isPlain ||= action.terminates === true
    before.terminates ||= action.terminates === true
    before.results.add(action.type.replaceAll("-", "_"))
    for (const name of action.sets ?? []) before.vars.add(name)
    return [{ action, path: at }]
  })
}

function programsOf(action: ReadAction, at: Path): { at: Path; text: string; reads: readonly Read[] }[] {
  const own = new Set(action.sets)
  return action.programs.map(({ reads }) => ({
    at: [...at, "config"],
    text: "",
    reads: reads.filter(({ kind, name }) => kind !== "var" || !own.has(name)),
  }))
}

/** Names that nothing before has set: expressions may ask whether they are there, so that this is no error. */
function checkReads(complaints: Complaints, path: Path, text: string, reads: readonly Read[], before: Before): void {
  for (const { kind, name, offset } of reads) {
    const known = kind === "var" ? before.vars : before.results
    if (name === "" || known.has(name)) continue
    const near = didYouMean(name, known)
    const message =
      kind === "var"
        ? `vars.${name}: no set-vars before this sets it${near}`
        : `actions.ngrok.${name}: no ${name.replaceAll("_", "-")} action before this${near}`
    complaints.warn(path, message, { hint: text === "" ? undefined : atCharacter(text, offset) })
  }
}

function atCharacter(text: string, offset: number): string | undefined {
  return offset === 0 || text.length < 80 ? undefined : `at character ${offset + 1}: ${text.slice(offset, offset + 40)}`
}

function unreached(type: string | undefined, more: number): string {
  const first = type ?? "this action"
  if (more === 0) return `${first} is`
  return `${first} and the ${more === 1 ? "action" : `${more} actions`} after it are`
}
