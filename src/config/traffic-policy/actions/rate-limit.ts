// `rate-limit`, beyond ngrok at layer 4, with the fields of its HTTP action. ngrok counts in a sliding window; here it is a
// bucket of `capacity` tokens that fills up again in each `rate`: after a rest `capacity` connections pass at once, in the
// long run no more than `capacity` per `rate`.
import { rateLimit as makeRateLimit } from "../../../limit/rate-limit.ts"
import { formatIp, parseIp, type Ip } from "../../../policy/address.ts"
import type { Connection } from "../../../policy/connection.ts"
import { deny } from "../../../policy/decision.ts"
import { describe } from "../../../policy/describe.ts"
import { ADDRESS, type Hooks } from "../../../policy/hooks.ts"
import { readRateLimitByAnyKey } from "../../../policy/limit-options.ts"
import type { LimitKey, RateLimitOptions } from "../../../policy/limits.ts"
import type { ActionKind, Making, Step } from "../action.ts"
import { compileTemplate, textOf, type Template } from "../cel/index.ts"
import type { Fields } from "../fields.ts"
import { Fields as NestedFields } from "../fields.ts"
import { limitName } from "../limit-name.ts"
import type { Run } from "../run.ts"
import { masked } from "./cidr-fault.ts"

/** ngrok's. */
const LONGEST_NAME = 1024
/** Counts stay exact where they are added up. */
const MOST = 1_000_000_000
/** 30 days, as for limits of TypeScript policies. */
const LONGEST_RATE = 30 * 864e5
/** 10: more tell nobody apart who are not apart already. */
const MOST_KEYS = 10
const DEFAULT_KEY = "conn.client_ip"

/** One part of the key. */
type Part =
  | { readonly kind: "expression"; readonly template: Template; readonly place: string }
  | { readonly kind: "network"; readonly ipv4: number; readonly ipv6: number }

export const rateLimit: ActionKind = {
  type: "rate-limit",
  read(fields) {
    const errors = fields.complaints.errorCount
    fields.required("name", "a name")
    fields.required("capacity", "how many connections may pass per rate")
    fields.required("rate", 'a duration like "60s"')
    const name = fields.text("name", { most: LONGEST_NAME, what: "a name" })
    fields.word("algorithm", ["sliding_window", "token_bucket"])
    const capacity = fields.whole("capacity", { from: 1, to: MOST })
    const rate = fields.duration("rate", { from: 1, to: LONGEST_RATE }, "60s")
    const enforce = fields.flag("enforce", true)
    const parts = keyOf(fields)
    if (fields.complaints.errorCount > errors || name === undefined || capacity === undefined) return undefined
    if (rate === undefined || parts === undefined) return undefined
    const place = fields.complaints.place(fields.at("name"))
    const { shown } = fields.complaints.document.source
    const templates = parts.flatMap((part) => (part.kind === "expression" ? [part.template] : []))
    return {
      type: "rate-limit",
      decides: "never",
      programs: templates,
      compile(making) {
        const named = limitName(making.context.owner, name)
        const options = { limit: capacity, per: rate, burst: capacity, key: limitKey(parts) }
        const id = `rateLimit ${JSON.stringify(named)}`
        const spec = readRateLimitByAnyKey(id, options)
        making.limit({ claim: { kind: "rateLimit", name: named, id, spec }, place, text: shown })
        return stepOf(making, named, name, options, parts, enforce)
      },
    }
  },
}

function stepOf(
  making: Making,
  named: string,
  shown: string,
  options: RateLimitOptions<LimitKey>,
  parts: readonly Part[],
  enforce: boolean,
): Step {
  const limit = makeRateLimit(named, options)
  const isRead = making.isRead("rate_limit")
  const isComputed = options.key === computedKey
  const refusal = deny(`rate-limit ${JSON.stringify(shown)}: too many connections`)
  return (run) => {
    const { connection } = run.visit
    if (isComputed) current = textOfKey(run, parts)
    const passes = limit.take(connection)
    if (isRead) {
      const error = passes ? { code: "", message: "" } : { code: "ERR_NGROK_702", message: refusal.reason }
      run.facts.setResult("rate_limit", { limited: !passes, remaining: limit.remaining(connection), error })
    }
    return passes || !enforce ? undefined : refusal
  }
}

/** The key of the connection that is being counted: nothing comes between setting and reading it. */
let current = ""
const computedKey = () => current

/** Keys that need no expression are hashed as numbers, and cost less. */
function limitKey(parts: readonly Part[]): LimitKey {
  const [only, second] = parts
  if (only === undefined || second !== undefined) return computedKey
  if (only.kind === "network") return { ipv4: only.ipv4, ipv6: only.ipv6 }
  const text = only.template.text.slice(2, -1).trim()
  if (text === DEFAULT_KEY) return { ipv4: 32, ipv6: 128 }
  return computedKey
}

function textOfKey(run: Run, parts: readonly Part[]): string {
  let key = ""
  for (const part of parts) {
    const text =
      part.kind === "network" ? networkOf(run.visit.connection, part) : textOf(run.value(part.template, part.place))
    // With its length, so that no two keys are one.
    key += `${text.length}:${text}`
  }
  return key
}

function networkOf(
  connection: Connection & Partial<Hooks>,
  { ipv4, ipv6 }: { readonly ipv4: number; readonly ipv6: number },
): string {
  const ip: Ip | undefined = ADDRESS in connection ? connection[ADDRESS] : parseIp(connection.client.address ?? "")
  return ip === undefined ? "" : formatIp(masked(ip, ip.family === "IPv4" ? ipv4 : ipv6))
}

/** Expressions, each in a template of its own so that its value keeps its type; or prefix lengths. */
function keyOf(fields: Fields): readonly Part[] | undefined {
  const value = fields.get("bucket_key") ?? [DEFAULT_KEY]
  const example = `expected a list like [${DEFAULT_KEY}], [conn.tls.sni] or [{ ipv4: 24, ipv6: 48 }]`
  if (!Array.isArray(value)) {
    const hint = typeof value === "string" ? `write a list: bucket_key: [${JSON.stringify(value)}]` : undefined
    return fields.error("bucket_key", `${example}, found ${describe(value)}`, { code: 2203, hint })
  }
  if (value.length === 0) return fields.error("bucket_key", `${example}, found an empty list`, { code: 2223 })
  if (value.length > MOST_KEYS)
    return fields.error("bucket_key", `${value.length} entries; at most ${MOST_KEYS}`, { code: 2255 })
  const parts = value.map((entry: unknown, i) => partOf(fields, entry, i, example))
  return parts.includes(undefined) ? undefined : parts.filter((part) => part !== undefined)
}

function partOf(fields: Fields, entry: unknown, i: number, example: string): Part | undefined {
  const path = [...fields.at("bucket_key"), i]
  if (typeof entry === "object" && entry !== null && !Array.isArray(entry)) {
    const nested = new NestedFields(fields.complaints, path, "a network", entry as Readonly<Record<string, unknown>>)
    const ipv4 = nested.whole("ipv4", { from: 0, to: 32 }) ?? 32
    const ipv6 = nested.whole("ipv6", { from: 0, to: 128 }) ?? 128
    nested.done()
    return { kind: "network", ipv4, ipv6 }
  }
  if (typeof entry !== "string" || entry.trim() === "") {
    fields.complaints.error(path, `${example}, found ${describe(entry)}`, { code: 2203 })
    return undefined
  }
  const isTemplate = entry.includes("${")
  const { problems, program } = compileTemplate(isTemplate ? entry : `\${${entry}}`)
  const shift = isTemplate ? 0 : 2
  fields.complaints.inText(
    path,
    entry,
    problems.map((problem) => ({ ...problem, offset: Math.max(0, problem.offset - shift) })),
  )
  return program === undefined
    ? undefined
    : { kind: "expression", template: program, place: fields.complaints.shownPlace(path) }
}
