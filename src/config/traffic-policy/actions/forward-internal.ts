// `forward-internal`: on to an internal endpoint, whose own policy runs. With `on_error: continue` what comes after this
// action runs where there is no such endpoint, where its policy does not decide, and where its target cannot be reached.
import { continued, deny, next, type Answer, type RouteFailure } from "../../../policy/decision.ts"
import { describe } from "../../../policy/describe.ts"
import { isHostName, parsePort, splitHostPort } from "../../../policy/target.ts"
import { mention, type ActionKind, type Making, type Step } from "../action.ts"
import { textOf, type Template } from "../cel/index.ts"
import type { Fields } from "../fields.ts"
import { TrafficPolicyFailed, type Run } from "../run.ts"
import { ForwardFailure, type Forwarded } from "../visit.ts"
import { upstreamFailed } from "./breaker.ts"

/** 2 KiB: a host name has 253 characters; the rest is `${}`. */
const LONGEST = 2048
const EXPECTED = 'the URL of an internal endpoint, like "tcp://db.internal:5432"'

export const forwardInternal: ActionKind = {
  type: "forward-internal",
  read(fields) {
    const onError = fields.word("on_error", ["halt", "continue"]) ?? "halt"
    checkBinding(fields)
    for (const name of ["endpoint_selectors", "endpoint_weights"])
      fields.refuse(name, `${name} is early access at ngrok, and its form is not published`, {
        hint: "endpoints of one URL are pooled anyway; for weights, use forward with a pool",
      })
    if (!fields.required("url", EXPECTED)) return undefined
    const template = fields.template("url", { most: LONGEST, what: EXPECTED })
    if (template === undefined) return undefined
    const url = template.isStatic ? checkUrl(fields, template.text) : undefined
    if (template.isStatic && url === undefined) return undefined
    if (!template.isStatic) checkEnds(fields, template.text)
    const place = fields.complaints.shownPlace(fields.at("url"))
    return {
      type: "forward-internal",
      decides: onError === "halt" ? "always" : "maybe",
      programs: [template],
      forwards: url === undefined ? [] : [mention(fields.complaints, fields.at("url"), url)],
      compile: (making) => stepOf(making, template, url, place, onError === "continue"),
    }
  },
}

function stepOf(
  making: Making,
  template: Template,
  constant: string | undefined,
  place: string,
  goesOn: boolean,
): Step {
  const isRead = making.isRead("forward_internal")
  const failed = (run: Run, url: string, { code, message }: ForwardFailure): Answer | Promise<Answer> => {
    if (!goesOn) return deny(`forward-internal: ${message} (${code})`)
    if (isRead) run.facts.setResult("forward_internal", { url, error: { code, message } })
    return making.rest(run)
  }
  const settle = (run: Run, url: string, answer: Forwarded): Answer | Promise<Answer> => {
    if (answer instanceof ForwardFailure) return failed(run, url, answer)
    if (answer === next || answer.action === "next")
      return failed(run, url, new ForwardFailure("ERR_NGROK_3200", `${url} has decided nothing`))
    if (!goesOn || answer.action !== "route") return answer
    return continued(answer, (failure) => {
      upstreamFailed(run.visit.connection.id)
      return failed(run, url, unreached(url, failure))
    })
  }
  return (run) => {
    const url = constant ?? urlOf(textOf(run.value(template, place)), place)
    const answer = run.visit.forward(url, run.visit)
    return answer instanceof Promise ? answer.then((one) => settle(run, url, one)) : settle(run, url, answer)
  }
}

function unreached(url: string, { code, message }: RouteFailure): ForwardFailure {
  return new ForwardFailure(
    "ERR_NGROK_3210",
    `${url} cannot be reached: ${code}${message === "" ? "" : `: ${message}`}`,
  )
}

/** One spelling of a URL that an expression gave. */
function urlOf(text: string, place: string): string {
  const found = internalUrl(text)
  if ("url" in found) return found.url
  throw new TrafficPolicyFailed(place, `forward-internal: ${found.fault}`, "ERR_NGROK_2226")
}

function checkUrl(fields: Fields, text: string): string | undefined {
  const found = internalUrl(text)
  if ("url" in found) return found.url
  return fields.error("url", found.fault, { code: found.code ?? 2226, hint: found.hint })
}

/** What stands before the first expression of a URL and behind the last one: no value mends that. */
function checkEnds(fields: Fields, text: string): void {
  const shown = describe(text)
  const scheme = /^\s*([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase()
  if (scheme === "http" || scheme === "https")
    fields.error("url", `${shown}: on_tcp_connect forwards to endpoints of the same protocol only`, {
      code: 2205,
      hint: "write tcp:// or tls://: connections of a TCP or TLS endpoint are never looked at as HTTP",
    })
  else if (scheme !== undefined && scheme !== "tcp" && scheme !== "tls")
    fields.error("url", `${shown}: expected tcp:// or tls://, found ${scheme}://`, { code: 2226 })
  const host = /\}([a-z0-9_-]*(?:\.[a-z0-9_-]+)+)\.?(?::\d+)?\/?\s*$/i.exec(text)?.[1]?.toLowerCase()
  if (host !== undefined && !host.endsWith(".internal"))
    fields.error("url", `${shown}: the host of an internal endpoint ends in .internal`, {
      code: 2204,
      hint: "forward goes to any other host: { type: forward, config: { url: ... } }",
    })
}

type InternalUrl = { readonly url: string } | { readonly fault: string; readonly hint?: string; readonly code?: number }

/** In lower case, with its port. */
export function internalUrl(text: string): InternalUrl {
  const [, scheme = "", rest = ""] = /^\s*([a-z][a-z0-9+.-]*):\/\/(.*?)\/?\s*$/i.exec(text) ?? []
  const shown = describe(text)
  const kind = scheme.toLowerCase()
  if (kind === "http" || kind === "https")
    return {
      fault: `${shown}: on_tcp_connect forwards to endpoints of the same protocol only; did you mean ${JSON.stringify(`tcp://${rest}`)}?`,
      hint: "connections of a TCP or TLS endpoint are never looked at as HTTP",
      code: 2205,
    }
  if (kind === "") {
    const bare = splitHostPort(text.trim())
    const near = bare?.host.toLowerCase().endsWith(".internal") === true ? `; did you mean "tcp://${text.trim()}"?` : ""
    return { fault: `${shown} is no URL: expected ${EXPECTED}${near}` }
  }
  if (kind !== "tcp" && kind !== "tls") return { fault: `${shown}: expected tcp:// or tls://, found ${scheme}://` }
  const split = splitHostPort(rest)
  if (split === undefined || split.bracketed) return { fault: `${shown}: expected ${EXPECTED}` }
  const host = split.host.toLowerCase().replace(/\.$/, "")
  if (host.startsWith("*."))
    return {
      fault: `${shown}: one endpoint is forwarded to, and a wildcard is many`,
      hint: "write its name",
      code: 2204,
    }
  if (!host.endsWith(".internal") || !isHostName(host))
    return {
      fault: `${shown}: the host of an internal endpoint ends in .internal`,
      hint: "forward goes to any other host: { type: forward, config: { url: ... } }",
      code: 2204,
    }
  if (split.port === "" && kind === "tcp") return { fault: `${shown} needs a port, like tcp://${host}:5432` }
  const port = split.port === "" ? 443 : parsePort(split.port)
  if (port === undefined || port === 0)
    return { fault: `${shown}: ${describe(split.port)} is no port: expected 1 to 65535` }
  return { url: `${kind}://${host}:${port}` }
}

/** Of older policies. */
function checkBinding(fields: Fields): void {
  const binding = fields.get("binding")
  if (binding === undefined) return
  if (binding === "internal") fields.warn("binding", "binding has no effect any more: take it out", { what: "key" })
  else fields.error("binding", `expected "internal", or nothing, found ${describe(binding)}`, { code: 2222 })
}
