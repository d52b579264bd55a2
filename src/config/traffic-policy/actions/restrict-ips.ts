// `restrict-ips`: which addresses may come in. An address that any `deny` names is kept out; where there is an `allow`, so
// is one that no `allow` names. With `deny` alone all others are let in: ngrok's words can be read otherwise.
import { cidrs, CidrInvalid, parseCidr, type CidrSet, type Prefix } from "../../../policy/cidr.ts"
import { formatIp, parseIp, type Ip } from "../../../policy/address.ts"
import { ADDRESS, type Hooks } from "../../../policy/hooks.ts"
import type { Connection } from "../../../policy/connection.ts"
import { deny, type Deny } from "../../../policy/decision.ts"
import { mention, type ActionKind, type Making, type ReadAction } from "../action.ts"
import { plain, type Template } from "../cel/index.ts"
import type { Fields } from "../fields.ts"
import { TrafficPolicyFailed, type Run } from "../run.ts"
import type { Mention } from "../situation.ts"
import { cidrFault, masked } from "./cidr-fault.ts"

/** 10,000 ranges: longer lists are for address lists, which follow their file. */
const MOST_RANGES = 10_000
/** 100: each has as many ranges as it likes. */
const MOST_POLICIES = 100

/** What is known of one list when the policy is made, and what only a connection tells. */
interface Ranges {
  readonly constant: readonly string[]
  readonly templates: readonly { readonly template: Template; readonly place: string }[]
  /** It stands in the config, even where nothing is in it. */
  readonly isThere: boolean
}

interface Named extends Mention {
  readonly path: readonly PropertyKey[]
}

export const restrictIps: ActionKind = {
  type: "restrict-ips",
  read(fields) {
    const enforce = fields.flag("enforce", true)
    const allow = rangesOf(fields, "allow")
    const denied = rangesOf(fields, "deny")
    const named = policiesOf(fields)
    if (!fields.has("allow") && !fields.has("deny") && !fields.has("ip_policies")) {
      fields.complaints.error(fields.path, "expected allow, deny or ip_policies", { code: 2234 })
      return undefined
    }
    if (allow === undefined || denied === undefined || named === undefined) return undefined
    return actionOf(fields, enforce, allow, denied, named)
  },
}

function actionOf(
  fields: Fields,
  enforce: boolean,
  allow: Ranges,
  denied: Ranges,
  named: readonly Named[],
): ReadAction {
  return {
    type: "restrict-ips",
    decides: "never",
    programs: [...allow.templates, ...denied.templates].map(({ template }) => template),
    ipPolicies: named,
    compile(making) {
      const rules = named.map((one) => rulesOf(making, one))
      const allows = [...allow.constant, ...rules.flatMap((rule) => rule.allow)]
      const denies = [...denied.constant, ...rules.flatMap((rule) => rule.deny)]
      const allowed = listOf(allows, allow)
      const kept = listOf(denies, denied)
      const isRead = making.isRead("restrict_ips")
      // A policy without a rule lets nobody in, as one that nobody has written yet should.
      const isEmpty = rules.length > 0 && allows.length + denies.length + denied.templates.length === 0
      const needsAllow = allow.isThere || allows.length > 0 || isEmpty
      return (run) => {
        const ip = addressOf(run.visit.connection)
        const verdict = judge(run, ip, needsAllow ? allowed : undefined, kept)
        if (isRead) report(run, ip, verdict, verdict.by === "deny" ? kept : allowed)
        return verdict.allowed || !enforce ? undefined : refusal(ip, verdict)
      }
    },
  }
}

/** The lists of one step: compiled, and as they are for each connection. */
interface List {
  readonly set: CidrSet
  readonly prefixes: () => readonly (Prefix & { readonly text: string })[]
  readonly templates: Ranges["templates"]
}

function listOf(texts: readonly string[], { templates }: Ranges): List {
  let prefixes: readonly (Prefix & { readonly text: string })[] | undefined
  return {
    set: cidrs(texts),
    prefixes: () => (prefixes ??= texts.map((text) => ({ ...parseCidr(text), text }))),
    templates,
  }
}

interface Verdict {
  readonly allowed: boolean
  /** Which list had the address. */
  readonly by: "allow" | "deny" | undefined
  /** The range of a template that it lies in. */
  readonly range?: string
}

const ALLOWED: Verdict = { allowed: true, by: undefined }
const BY_ALLOW: Verdict = { allowed: true, by: "allow" }
const BY_DENY: Verdict = { allowed: false, by: "deny" }
const BY_NONE: Verdict = { allowed: false, by: undefined }

function judge(run: Run, ip: Ip | undefined, allow: List | undefined, kept: List): Verdict {
  if (ip !== undefined && kept.set.contains(ip)) return BY_DENY
  if (kept.templates.length > 0) {
    const range = inTemplates(run, ip, kept)
    if (range !== undefined) return { ...BY_DENY, range }
  }
  if (allow === undefined) return ALLOWED
  if (ip !== undefined && allow.set.contains(ip)) return BY_ALLOW
  const range = allow.templates.length > 0 ? inTemplates(run, ip, allow) : undefined
  return range === undefined ? BY_NONE : { ...BY_ALLOW, range }
}

/** Ranges that only a connection tells: a text each, or a list of them. All are looked at, so that a bad one shows. */
function inTemplates(run: Run, ip: Ip | undefined, { templates }: List): string | undefined {
  let found: string | undefined
  for (const { place, template } of templates) {
    const value = plain(run.value(template, place))
    const texts: readonly unknown[] = Array.isArray(value) ? value : [value]
    for (const text of texts) {
      const prefix = prefixOf(text, place)
      if (found === undefined && ip !== undefined && lies(ip, prefix)) found = String(text)
    }
  }
  return found
}

function prefixOf(text: unknown, place: string): Prefix {
  try {
    return parseCidr(text as string)
  } catch (error) {
    if (!(error instanceof CidrInvalid)) throw error
    throw new TrafficPolicyFailed(place, `restrict-ips: ${error.message}`, "ERR_NGROK_2217")
  }
}

function lies(ip: Ip, { bits, ip: of }: Prefix): boolean {
  if (ip.family !== of.family) return false
  const [a, b] = [masked(ip, bits), masked(of, bits)]
  return a.a === b.a && a.b === b.b && a.c === b.c && a.d === b.d
}

function refusal(ip: Ip | undefined, { by }: Verdict): Deny {
  const who = ip === undefined ? "a client without an address" : formatIp(ip)
  const why = by === "deny" ? "is in a denied range" : "is in no allowed range"
  return deny(`restrict-ips: ${who} ${why} (ERR_NGROK_3203)`)
}

/** `actions.ngrok.restrict_ips.*` */
function report(run: Run, ip: Ip | undefined, { allowed, by, range }: Verdict, list: List): void {
  const matched =
    range ?? (by === undefined || ip === undefined ? "" : (list.prefixes().find((one) => lies(ip, one))?.text ?? ""))
  const error = allowed
    ? { code: "", message: "" }
    : { code: "ERR_NGROK_3203", message: `${ip === undefined ? "the client" : formatIp(ip)} is not allowed` }
  run.facts.setResult("restrict_ips", { action: allowed ? "allow" : "deny", matched_cidr: matched, error })
}

function addressOf(connection: Connection & Partial<Hooks>): Ip | undefined {
  if (ADDRESS in connection) return connection[ADDRESS]
  const { address } = connection.client
  return address === undefined ? undefined : parseIp(address)
}

function rulesOf(making: Making, { name, problem }: Named): { allow: readonly string[]; deny: readonly string[] } {
  const found = making.context.ipPolicy(name)
  if (found === undefined) making.problem(problem(`there is no IP policy ${JSON.stringify(name)} (ERR_NGROK_2216)`))
  return found ?? { allow: [], deny: [] }
}

/** `undefined` where something is wrong. */
function rangesOf(fields: Fields, name: "allow" | "deny"): Ranges | undefined {
  if (!fields.has(name)) return { constant: [], templates: [], isThere: false }
  const read = fields.templates(name, { most: MOST_RANGES, what: "CIDR" })
  if (read === undefined) return undefined
  const constant: string[] = []
  const templates: { template: Template; place: string }[] = []
  const seen = new Set<string>()
  let isRight = true
  for (const { path, template } of read) {
    const { isStatic, text } = template
    if (!isStatic) {
      templates.push({ template, place: fields.complaints.shownPlace(path) })
      continue
    }
    const fault = cidrFault(text)
    if (fault !== undefined) {
      fields.complaints.error(path, fault.message, { code: fault.code })
      isRight = false
    } else if (seen.has(text)) fields.complaints.warn(path, `${text} stands here twice`, { code: 2231 })
    seen.add(text)
    constant.push(text)
  }
  return isRight ? { constant, templates, isThere: true } : undefined
}

function policiesOf(fields: Fields): readonly Named[] | undefined {
  const value = fields.get("ip_policies")
  if (value === undefined) return []
  if (!Array.isArray(value) || value.length === 0)
    return fields.error("ip_policies", "expected a list of names of IP policies", { code: 2203 })
  if (value.length > MOST_POLICIES)
    return fields.error("ip_policies", `${value.length} entries; at most ${MOST_POLICIES}`, { code: 2218 })
  const named: Named[] = []
  for (const [i, name] of value.entries()) {
    const path = [...fields.at("ip_policies"), i]
    if (typeof name === "string" && name.trim() !== "") {
      named.push({ ...mention(fields.complaints, path, name), path })
      continue
    }
    fields.complaints.error(path, "expected the name or the id of an IP policy", { code: 2216 })
  }
  return named.length === value.length ? named : undefined
}
