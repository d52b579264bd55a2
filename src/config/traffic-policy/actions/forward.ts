// `forward`, beyond ngrok: on to any target or pool, with the options of a route.
import { continued, poolRoute, route, type Answer, type Route, type RouteOptions } from "../../../policy/decision.ts"
import { describe } from "../../../policy/describe.ts"
import { mention, type ActionKind, type Making, type Step } from "../action.ts"
import { textOf, type Template } from "../cel/index.ts"
import type { Fields } from "../fields.ts"
import { TrafficPolicyFailed, type Run } from "../run.ts"
import { readMap } from "../nested.ts"
import { upstreamFailed } from "./breaker.ts"

/** 2 KiB: a path or a host name, and `${}`. */
const LONGEST = 2048
const EXPECTED = 'a target like "tcp://db:5432", "tls://db:5432" or "unix:/run/db.sock", or the name of a pool'
/** 30 days, as everywhere. */
const LONGEST_TIME = 30 * 864e5
/** Pools of our own files, and those that are made of manifests: `default/db:5432`. */
const POOL = /^[a-z][a-z0-9-]*$/
const MADE_POOL = /^[a-z0-9.-]+\/[a-z0-9.-]+(:[\w-]+)?$/
/** 1,000 targets that expressions give are made once. */
const CACHED = 1000

export const forward: ActionKind = {
  type: "forward",
  read(fields, { afterTerminate, situation }) {
    const onError = fields.word("on_error", ["halt", "continue"]) ?? "halt"
    const options = optionsOf(fields)
    if (!fields.required("url", EXPECTED)) return undefined
    const template = fields.template("url", { most: LONGEST, what: EXPECTED })
    if (template === undefined || options === undefined) return undefined
    const constant = template.isStatic ? routed(fields, template.text.trim(), options) : undefined
    if (template.isStatic && constant === undefined) return undefined
    if (constant?.targets.some(({ url }) => url.startsWith("tls:")) === true) {
      if (situation.protocol === "tls" && !afterTerminate)
        return fields.error("url", "what comes here is encrypted already, and would be once more", {
          code: 2226,
          hint: "write tcp:// to pass TLS through, or put terminate-tls before it",
        })
    }
    const place = fields.complaints.shownPlace(fields.at("url"))
    return {
      type: "forward",
      decides: onError === "halt" ? "always" : "maybe",
      programs: [template],
      pools: constant?.pool === undefined ? [] : [mention(fields.complaints, fields.at("url"), constant.pool)],
      compile: (making) => stepOf(making, template, constant, options, place, onError === "continue"),
    }
  },
}

function stepOf(
  making: Making,
  template: Template,
  constant: Route | undefined,
  options: RouteOptions,
  place: string,
  goesOn: boolean,
): Step {
  const isRead = making.isRead("forward")
  const made = new Map<string, Route>()
  const find = (run: Run): Route => {
    if (constant !== undefined) return constant
    const url = textOf(run.value(template, place)).trim()
    let known = made.get(url)
    if (known === undefined) {
      known = computed(url, options, place)
      if (made.size >= CACHED) made.delete(made.keys().next().value!)
      made.set(url, known)
    }
    return known
  }
  if (!goesOn) return find
  return (run) => {
    const found = find(run)
    const url = found.pool ?? found.targets[0]!.url
    return continued(found, ({ code, message }): Answer | Promise<Answer> => {
      upstreamFailed(run.visit.connection.id)
      if (isRead) run.facts.setResult("forward", { url, error: { code, message } })
      return making.rest(run)
    })
  }
}

/** @throws TrafficPolicyFailed */
function computed(url: string, options: RouteOptions, place: string): Route {
  try {
    return routeTo(url, options)
  } catch (error) {
    throw new TrafficPolicyFailed(place, `forward: ${messageOf(error)}`, "ERR_NGROK_2226")
  }
}

function routed(fields: Fields, url: string, options: RouteOptions): Route | undefined {
  try {
    return routeTo(url, options)
  } catch (error) {
    return fields.error("url", messageOf(error), { code: 2226, hint: `expected ${EXPECTED}` })
  }
}

/** @throws TargetInvalid, DecisionInvalid */
function routeTo(url: string, options: RouteOptions): Route {
  if (MADE_POOL.test(url) || (POOL.test(url) && url !== "")) return poolRoute(url, options)
  return route(url, options)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/^route: /, "") : String(error)
}

/** `undefined` where one is wrong. */
function optionsOf(fields: Fields): RouteOptions | undefined {
  const errors = fields.complaints.errorCount
  const time = (name: string) => fields.duration(name, { from: 1, to: LONGEST_TIME }, "5s")
  const connectTimeout = time("connect_timeout")
  const idleTimeout = time("idle_timeout")
  const maxDuration = time("max_duration")
  // 63: a list of targets has at most 64.
  const retries = fields.whole("retries", { from: 0, to: 63 })
  const proxyProtocol = fields.word("proxy_protocol", ["1", "2"])
  const key = fields.text("hash_key", { most: 1024 })
  const tls = tlsOf(fields)
  const bandwidth = bandwidthOf(fields)
  if (fields.complaints.errorCount > errors) return undefined
  const options: RouteOptions = {
    ...(connectTimeout === undefined ? {} : { connectTimeout }),
    ...(idleTimeout === undefined ? {} : { idleTimeout }),
    ...(maxDuration === undefined ? {} : { maxDuration }),
    ...(retries === undefined ? {} : { retries }),
    ...(proxyProtocol === undefined ? {} : { proxyProtocol: proxyProtocol === "1" ? 1 : 2 }),
    ...(key === undefined ? {} : { key }),
    ...(tls === undefined ? {} : { tls }),
    ...(bandwidth === undefined ? {} : { bandwidth }),
  }
  return options
}

function tlsOf(fields: Fields): NonNullable<RouteOptions["tls"]> | undefined {
  const tls = readMap(fields, "tls")
  if (tls === undefined) return undefined
  const sni = tls.text("sni", { most: 253 })
  const alpn = tls.get("alpn")
  const ca = tls.get("ca")
  const insecureSkipVerify = tls.flag("insecure_skip_verify", false)
  tls.done()
  for (const [name, value] of [
    ["alpn", alpn],
    ["ca", ca],
  ] as const)
    if (value !== undefined && !isTexts(value))
      tls.error(name, `expected a list of texts, found ${describe(value)}`, { code: 2203 })
  return {
    ...(sni === undefined ? {} : { sni }),
    ...(isTexts(alpn) ? { alpn: typeof alpn === "string" ? [alpn] : alpn } : {}),
    ...(isTexts(ca) ? { ca } : {}),
    ...(insecureSkipVerify ? { insecureSkipVerify } : {}),
  }
}

function isTexts(value: unknown): value is string | readonly string[] {
  return typeof value === "string" || (Array.isArray(value) && value.every((one) => typeof one === "string"))
}

function bandwidthOf(fields: Fields): NonNullable<RouteOptions["bandwidth"]> | undefined {
  const bandwidth = readMap(fields, "bandwidth")
  if (bandwidth === undefined) return undefined
  const [up, down] = [rateOf(bandwidth, "up"), rateOf(bandwidth, "down")]
  const key = bandwidth.word("key", ["client", "sni", "all"])
  bandwidth.done()
  return {
    ...(up === undefined ? {} : { up }),
    ...(down === undefined ? {} : { down }),
    ...(key === undefined ? {} : { key }),
  }
}

function rateOf(fields: Fields, name: string): string | number | undefined {
  const value = fields.get(name)
  if (value === undefined || typeof value === "string" || typeof value === "number") return value
  return fields.error(name, `expected bytes per second, like "512 KiB", found ${describe(value)}`, { code: 2203 })
}
