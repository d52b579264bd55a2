// A traffic policy as people write it, to rules that are right in themselves; and everything that is wrong with it.
import { createHash } from "node:crypto"
import { describe } from "../../policy/describe.ts"
import { didYouMean } from "../../policy/suggest.ts"
import { diagnostic } from "../diagnostic.ts"
import type { Document, Read } from "../manifests/document.ts"
import { readYaml } from "../yaml.ts"
import type { Needs } from "./cel/index.ts"
import { Complaints, type Locate, type Path } from "./complaints.ts"
import { readRule, type Before, type ReadRule } from "./read-rule.ts"
import type { Situation, TrafficPolicy } from "./situation.ts"
import { offsetAt, placeInText } from "./text-place.ts"

const PHASE = "on_tcp_connect"
/** 1,000 rules: every connection is asked about them one after the other. */
const MOST_RULES = 1000
/** Phases that ngrok has for HTTP. */
const HTTP_PHASES = ["on_http_request", "on_http_response", "on_event_stream_message"]

/**
 * Reads a policy, and says all that is wrong with it, in the order of the text. Never throws.
 * @param path where it stands in the document
 * @param value an object, or a text with YAML or JSON in it
 */
export function readPolicy(document: Document, path: Path, value: unknown, situation: Situation): Read<TrafficPolicy> {
  if (typeof value === "string") return readText(document, path, value, situation)
  const complaints = new Complaints(document, path, (at, what) => document.place([...path, ...at], what))
  return readObject(complaints, value, situation)
}

/** Custom resources and ngrok's API carry a policy as one text. */
function readText(document: Document, path: Path, text: string, situation: Situation): Read<TrafficPolicy> {
  const start = document.place(path)
  const { shown } = document.source
  const lines = shown.split(/\r?\n/)
  const inText = (line: number | undefined, column: number | undefined) =>
    line === undefined ? start : placeInText(lines, start, text, offsetAt(text, line, column ?? 1))
  const { documents, problems } = readYaml(document.source.path, text, text)
  if (problems.length > 0) {
    const found = problems.map(({ column, hint, line, message }) =>
      diagnostic(inText(line, column), `the policy is no YAML or JSON: ${message} (ERR_NGROK_2236)`, hint, shown),
    )
    return { value: undefined, problems: found, warnings: [] }
  }
  const [first, second] = documents
  const locate: Locate = (at, what) => {
    const place = first?.place(at, what)
    return inText(place?.line, place?.column)
  }
  const complaints = new Complaints(document, path, locate)
  if (second !== undefined)
    complaints.error([], "a second document begins in this text; a policy is one", { code: 2236 })
  return readObject(complaints, first?.value, situation)
}

function readObject(complaints: Complaints, value: unknown, situation: Situation): Read<TrafficPolicy> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const hint = Array.isArray(value) ? `rules stand under a phase: write ${PHASE}: before them` : undefined
    complaints.error([], `expected a traffic policy with ${PHASE}, found ${describe(value)}`, { code: 2236, hint })
    return { value: undefined, problems: complaints.problems(), warnings: complaints.warnings() }
  }
  const errors = complaints.errorCount
  checkPhases(complaints, value, situation)
  const rules = readRules(complaints, value, situation)
  if (rules !== undefined) {
    checkReach(complaints, rules)
    if (complaints.errorCount === errors) checkDecides(complaints, rules, situation)
  }
  const problems = complaints.problems()
  const warnings = complaints.warnings()
  if (problems.length > 0 || rules === undefined) return { value: undefined, problems, warnings }
  const read = rules.filter((rule) => rule !== undefined)
  return { value: policyOf(complaints, value, read), problems, warnings }
}

function policyOf(complaints: Complaints, value: object, rules: readonly ReadRule[]): TrafficPolicy {
  const actions = rules.flatMap((rule) => rule.actions.map(({ action }) => action))
  // Messages name lines: moving a rule is a change.
  const lines = rules.map(({ path }) => complaints.place(path).line)
  const hash = createHash("sha256").update(JSON.stringify([value, lines]))
  return {
    key: hash.digest("hex").slice(0, 32),
    rules,
    modules: actions.flatMap(({ modules = [] }) => modules),
    ipPolicies: actions.flatMap(({ ipPolicies = [] }) => ipPolicies),
    forwards: actions.flatMap(({ forwards = [] }) => forwards),
    pools: actions.flatMap(({ pools = [] }) => pools),
    needs: allNeeds(rules),
    lookups: complaints.lookups,
    terminates: actions.some(({ terminates }) => terminates === true),
    alwaysDecides: rules.some(endsAll),
  }
}

function allNeeds(rules: readonly ReadRule[]): Needs {
  const all = rules.flatMap(({ actions, expressions }) => [
    ...expressions.map(({ program }) => program.needs),
    ...actions.flatMap(({ action }) => action.programs.map(({ needs }) => needs)),
  ])
  const any = (name: keyof Needs) => all.some((needs) => needs[name])
  return {
    hello: any("hello"),
    terminated: any("terminated"),
    geo: any("geo"),
    categories: any("categories"),
    secrets: any("secrets"),
  }
}

function checkPhases(complaints: Complaints, value: object, { isInternal, protocol }: Situation): void {
  const endpoint = protocol === "unknown" ? "TCP and TLS endpoints" : `a ${protocol}:// endpoint`
  const hasPhase = PHASE in value
  const meant = hasPhase ? "" : `; did you mean ${JSON.stringify(PHASE)}?`
  for (const name of Object.keys(value)) {
    if (name === PHASE) {
      if (protocol === "http" && isInternal)
        complaints.error([name], "internal HTTP endpoints have no on_tcp_connect; give it a tcp:// or tls:// URL", {
          code: 2262,
          what: "key",
        })
    } else if (HTTP_PHASES.includes(name)) {
      if (protocol === "http") continue
      complaints.error([name], `${name} never runs on ${endpoint}${meant}`, {
        code: 2230,
        what: "key",
        hint: hasPhase
          ? "take it out"
          : `TCP and TLS endpoints have one phase, ${PHASE}: its actions know the connection, and nothing of requests`,
      })
    } else if (name === "enabled") checkEnabled(complaints, value)
    else unknownPhase(complaints, name, endpoint, meant)
  }
}

/** Of the old format. */
function checkEnabled(complaints: Complaints, value: object): void {
  const { enabled } = value as { enabled?: unknown }
  const about = { code: 2236, what: "key" } as const
  if (enabled === true)
    complaints.warn(["enabled"], "enabled is of the old format, and has no effect: take it out", about)
  else
    complaints.error(["enabled"], "enabled is of the old format: a policy that is there is enabled", {
      ...about,
      hint: "take the policy away to switch it off",
    })
}

function unknownPhase(complaints: Complaints, name: string, endpoint: string, meant: string): void {
  const about = { code: 2230, what: "key" } as const
  if (name === "inbound") complaints.error([name], `inbound is of the old format; write ${PHASE} instead`, about)
  else if (name === "outbound")
    complaints.error([name], "outbound is of the old format: nothing runs on the way back of a TCP or TLS connection", {
      ...about,
      hint: "take it out",
    })
  else if (name.startsWith("on_") && didYouMean(name, [PHASE, ...HTTP_PHASES]) === "")
    complaints.error([name], `there is no phase ${JSON.stringify(name)} on ${endpoint}${meant}`, {
      ...about,
      hint: name.includes("tls") ? `TLS endpoints have ${PHASE} as well; the actions are the same` : undefined,
    })
  else {
    const near = didYouMean(name, [PHASE, ...HTTP_PHASES])
    complaints.error([name], `a policy has no ${JSON.stringify(name)}${near || meant || `; known is ${PHASE}`}`, {
      ...about,
      code: 2236,
    })
  }
}

/** `undefined` where there is no list; in the list where a rule is wrong. */
function readRules(
  complaints: Complaints,
  value: object,
  situation: Situation,
): readonly (ReadRule | undefined)[] | undefined {
  const { on_tcp_connect: rules } = value as { readonly on_tcp_connect?: unknown }
  if (rules === undefined) return []
  if (!Array.isArray(rules)) {
    const hint = typeof rules === "object" && rules !== null ? 'write a list: "- " before each rule' : undefined
    complaints.error([PHASE], `expected a list of rules, found ${describe(rules)}`, { code: 2236, hint })
    return undefined
  }
  if (rules.length > MOST_RULES) {
    complaints.error([PHASE], `${rules.length} rules; a policy has at most ${MOST_RULES}`, { code: 2264 })
    return undefined
  }
  const before: Before = { terminates: false, endsTls: false, vars: new Set(), results: new Set() }
  return rules.map((rule: unknown, i) => readRule(complaints, [PHASE, i], rule, situation, before))
}

/** Whether no connection comes past it. */
function endsAll({ actions, always }: ReadRule): boolean {
  return always && actions.some(({ action }) => action.decides === "always")
}

/** Rules after one that decides about everything. */
function checkReach(complaints: Complaints, rules: readonly (ReadRule | undefined)[]): void {
  const last = rules.findIndex((rule) => rule !== undefined && endsAll(rule))
  if (last < 0 || last === rules.length - 1) return
  const more = rules.length - last - 2
  const others =
    more === 0
      ? "this rule is never reached"
      : `this rule and the ${more === 1 ? "one" : more} after it are never reached`
  const before = `${PHASE}[${last}] has no expressions, and ends the policy for every connection`
  complaints.error([PHASE, last + 1], `${others}: ${before}`, {
    code: 2207,
    hint: `give ${PHASE}[${last}] an expression, or put it last`,
  })
}

function checkDecides(complaints: Complaints, rules: readonly (ReadRule | undefined)[], situation: Situation): void {
  if (situation.endpoint !== "cloud" || rules.some((rule) => rule !== undefined && endsAll(rule))) return
  const open = "a cloud endpoint has no upstream, and this policy does not decide about every connection"
  const hint = "end it with a rule without expressions, like { actions: [{ type: deny }] }"
  complaints.error([PHASE], open, { code: 2235, hint, what: "key" })
}
