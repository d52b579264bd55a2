// One action of a rule: its type, and its config as the type reads it.
import { describe } from "../../policy/describe.ts"
import { didYouMean, suggest } from "../../policy/suggest.ts"
import { ACTIONS, NOT_HERE } from "./actions/index.ts"
import type { ReadAction, Where } from "./action.ts"
import type { Complaints, Path } from "./complaints.ts"
import { Fields } from "./fields.ts"
import type { Situation } from "./situation.ts"

const ACTION_FIELDS = ["type", "config"]

/** Whether it is right or not. */
export function typeOf(entry: unknown): string | undefined {
  const type = typeof entry === "object" && entry !== null ? (entry as { type?: unknown }).type : undefined
  return typeof type === "string" ? type : undefined
}

/** `undefined` where something is wrong, which was complained of. */
export function readAction(complaints: Complaints, path: Path, value: unknown, where: Where): ReadAction | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const hint = typeof value === "string" ? `write: { type: ${value} }` : undefined
    complaints.error(path, `expected an action with a type, found ${describe(value)}`, { code: 2236, hint })
    return undefined
  }
  const { config, type } = value as { readonly type?: unknown; readonly config?: unknown }
  let isMisspelt = false
  for (const field of Object.keys(value)) {
    if (ACTION_FIELDS.includes(field)) continue
    const near = didYouMean(field, ACTION_FIELDS)
    isMisspelt ||= suggest(field, ACTION_FIELDS) === "type"
    const hint = near === "" && config === undefined ? "the fields of an action stand under `config`" : undefined
    complaints.error(
      [...path, field],
      `an action has no field ${JSON.stringify(field)}${near || "; known are type, config"}`,
      { code: 2236, what: "key", hint },
    )
  }
  if (typeof type !== "string" || type === "") {
    if (type === undefined && isMisspelt) return undefined
    const at = type === undefined ? path : [...path, "type"]
    const message = type === undefined ? "type is missing" : `expected a type, found ${describe(type)}`
    complaints.error(at, `${message}; known are ${names().join(", ")}`, { code: 2201 })
    return undefined
  }
  const kind = ACTIONS.get(type)
  if (kind === undefined) return unknownAction(complaints, [...path, "type"], type, where.situation)
  const at = [...path, "config"]
  if (config !== undefined && config !== null && (typeof config !== "object" || Array.isArray(config))) {
    // A key may stand in its place.
    const found = typeof config === "string" ? "a text" : describe(config)
    const isPem = typeof config === "string" && config.includes("-----BEGIN ")
    const hint = isPem
      ? "write config: { server_private_key: ..., server_certificate: ... }, or mutual_tls_certificate_authorities: [...]"
      : undefined
    complaints.error(at, `expected an object with the fields of ${type}, found ${isPem ? "PEM" : found}`, {
      code: 2203,
      hint,
    })
    return undefined
  }
  const fields = new Fields(complaints, at, type, (config ?? {}) as Readonly<Record<string, unknown>>)
  const errors = complaints.errorCount
  const read = kind.read(fields, where)
  fields.done()
  return complaints.errorCount > errors ? undefined : read
}

function unknownAction(complaints: Complaints, path: Path, type: string, { protocol }: Situation): undefined {
  const substitute = NOT_HERE.get(type)
  if (substitute !== undefined) {
    const scheme = protocol === "unknown" || protocol === "http" ? "tcp" : protocol
    const message = `${type} is for HTTP, and never runs in on_tcp_connect on a ${scheme}:// endpoint`
    complaints.error(path, message, { code: protocol === "unknown" ? 2202 : 2205, hint: substitute })
    return undefined
  }
  const meant = suggest(type, [...names(), ...NOT_HERE.keys()]) ?? alike(type)
  const near = meant === undefined ? `; known are ${names().join(", ")}` : `; did you mean ${JSON.stringify(meant)}?`
  complaints.error(path, `there is no action ${JSON.stringify(type)}${near}`, { code: 2201 })
  return undefined
}

function names(): string[] {
  return [...ACTIONS.keys()]
}

/** What others call it. */
function alike(type: string): string | undefined {
  const words: Readonly<Record<string, string>> = {
    allow: "restrict-ips",
    block: "deny",
    close: "close-connection",
    drop: "close-connection",
    reject: "deny",
    "ip-restriction": "restrict-ips",
    "restrict-ip": "restrict-ips",
    "ip-policy": "restrict-ips",
    proxy: "forward",
    route: "forward",
    respond: "custom-response",
    throttle: "rate-limit",
    "terminate-mtls": "terminate-tls",
    "set-var": "set-vars",
    "mutual-tls": "terminate-tls",
    script: "typescript",
    javascript: "typescript",
    code: "typescript",
  }
  const key = type.toLowerCase().replaceAll("_", "-")
  return ACTIONS.has(key) ? key : Object.hasOwn(words, key) ? words[key] : undefined
}
