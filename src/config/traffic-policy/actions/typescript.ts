// `typescript`, beyond ngrok: a function of a module decides, or leaves results for what comes after.
import { checkAnswer, type Answer } from "../../../policy/decision.ts"
import type { Connection } from "../../../policy/connection.ts"
import { describe } from "../../../policy/describe.ts"
import { isEffect, runEffect } from "../../../policy/run-effect.ts"
import { didYouMean } from "../../../policy/suggest.ts"
import type { Modules } from "../../contents.ts"
import { mention, type ActionKind, type Making, type Step, type Stepped } from "../action.ts"
import { plain, type DeepTemplate, type Json } from "../cel/index.ts"
import { readDeep } from "../deep.ts"
import { TrafficPolicyFailed, type Run } from "../run.ts"
import type { Mention } from "../situation.ts"

/** 1,024 characters: a path. */
const LONGEST = 1024
const EXPORT = "on_tcp_connect"
const ACTIONS = ["route", "deny", "respond", "next"]

type Called = (connection: Connection, config: Json) => unknown

export const typescript: ActionKind = {
  type: "typescript",
  read(fields) {
    if (!fields.required("module", 'a path like "./lib/guard.ts"')) return undefined
    const specifier = fields.text("module", { most: LONGEST, what: 'a path like "./lib/guard.ts"' })
    const name = fields.text("export", { most: LONGEST, what: "the name of an export" }) ?? EXPORT
    const config = fields.has("config") ? readDeep(fields, "config", fields.get("config")) : undefined
    if (specifier === undefined) return undefined
    if (!/^\.\.?\//.test(specifier))
      return fields.error("module", `${describe(specifier)}: expected a path that begins with "./" or "../"`, {
        code: 2228,
        hint: `from the folder of this file; did you mean "./${specifier.replace(/^\/+/, "")}"?`,
      })
    if (fields.has("config") && config === undefined) return undefined
    const place = fields.complaints.shownPlace(fields.path)
    const about = mention(fields.complaints, fields.at(fields.has("export") ? "export" : "module"), specifier)
    return {
      type: "typescript",
      decides: "maybe",
      programs: config === undefined ? [] : [config],
      modules: [{ specifier, place: fields.complaints.place(fields.at("module")) }],
      compile: (making) => stepOf(making, functionOf(making, about, name), config, place),
    }
  },
}

function stepOf(making: Making, called: Called, config: DeepTemplate | undefined, place: string): Step {
  const isRead = making.isRead("typescript")
  return (run) => {
    const value = called(run.visit.connection, config === undefined ? null : plain(run.value(config, place)))
    if (isEffect(value))
      return runEffect(value, run.visit.connection.signal).then((found) => settle(run, found, isRead, place))
    if (isThenable(value)) return Promise.resolve(value).then((found) => settle(run, found, isRead, place))
    return settle(run, value, isRead, place)
  }
}

function settle(run: Run, value: unknown, isRead: boolean, place: string): Stepped {
  const { action } = typeof value === "object" && value !== null ? (value as { action?: unknown }) : {}
  if (value === undefined || (typeof action === "string" && ACTIONS.includes(action))) {
    const answer: Answer = checkAnswer(value)
    return answer.action === "next" ? undefined : answer
  }
  if (isRead) run.facts.setResult("typescript", resultOf(value, place))
  return undefined
}

/** Plain data; what is no map is its `value`. */
function resultOf(value: unknown, place: string): { readonly [name: string]: Json } {
  let json: string | undefined
  try {
    json = JSON.stringify(value)
  } catch {
    // What goes in circles is no plain data, as below.
    json = undefined
  }
  if (json === undefined)
    throw new TrafficPolicyFailed(
      place,
      `typescript: the function returned ${describe(value)}; expected a decision, next or plain data`,
      "ERR_NGROK_2300",
    )
  const copy: unknown = JSON.parse(json)
  return (typeof copy === "object" && copy !== null && !Array.isArray(copy) ? copy : { value: copy }) as {
    readonly [name: string]: Json
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
}

function functionOf(making: Making, about: Mention, name: string): Called {
  const { modules } = making.context
  const found = exportOf(modules, about.name, name)
  if (typeof found === "function") return found as Called
  const known = Object.keys(modules.get(about.name) ?? {})
  making.problem(
    about.problem(
      found === undefined
        ? `${JSON.stringify(about.name)} has no export ${JSON.stringify(name)}${didYouMean(name, known)}`
        : `${JSON.stringify(name)} of ${JSON.stringify(about.name)}: expected a function, found ${describe(found)}`,
    ),
  )
  return () => undefined
}

/** By its name; `on_tcp_connect` may be in a default export, as in a policy file. */
function exportOf(modules: Modules, specifier: string, name: string): unknown {
  const namespace = modules.get(specifier)
  if (namespace === undefined) return undefined
  if (Object.hasOwn(namespace, name)) return namespace[name]
  const otherwise = namespace["default"]
  if (name !== EXPORT) return undefined
  if (typeof otherwise === "object" && otherwise !== null) return Reflect.get(otherwise, name)
  return otherwise
}
