// `tidegate explain`: which policies are asked about a connection, what each answers, and what the gateway would do,
// without doing it.
import { readFile } from "node:fs/promises"
import { renderDiagnostic } from "../config/diagnostic.ts"
import type { Loader } from "../config/loader.ts"
import type { ListenerPlan, PolicyVersion } from "../config/snapshot.ts"
import { span } from "../observe/events.ts"
import { printable, printableJson } from "../observe/printable.ts"
import { formatHostPort } from "../policy/address.ts"
import { ask, type Outcome } from "../policy/ask.ts"
import type { Body, Decision, Route } from "../policy/decision.ts"
import { FactsInvalid, listenerOf, simulate, type Simulated } from "../policy/simulated.ts"
import { open, type Opened } from "./load.ts"
import { complain, counted, fail, paintErr, paintOut, say, UNUSABLE } from "./say.ts"

export interface ExplainOptions {
  readonly folder: string
  /** The client. Left out on a unix: listener. */
  readonly from: string | undefined
  readonly to: string
  /** A file with what the client sends first. */
  readonly bytes: string | undefined
}

/** Gives the exit code: 0 when the connection is explained, whatever becomes of it. */
export async function explain(options: ExplainOptions): Promise<number> {
  const { bytes, folder, from, to } = options
  let sent: Uint8Array | undefined
  try {
    sent = bytes === undefined ? undefined : await readFile(bytes)
  } catch (error) {
    return fail(`--bytes: ${error instanceof Error ? error.message : String(error)}`)
  }
  const facts = { to, ...(from === undefined ? {} : { from }), ...(sent === undefined ? {} : { bytes: sent }) }
  let family: string
  try {
    family = simulate(facts).connection.client.family
  } catch (error) {
    if (error instanceof FactsInvalid) return fail(`--${error.message}`)
    throw error
  }
  const opened = await open(folder)
  if (opened.problems.length > 0) {
    for (const problem of opened.problems) complain(`${renderDiagnostic(problem, paintErr)}\n`)
    complain("The gateway would not start with these policies.")
    return UNUSABLE
  }
  const plans = [...opened.snapshot.listeners.values()]
  const plan = listenerFor(plans, to, family)
  if (plan === undefined) return nobodyListens(plans, to)
  return explainAt(opened, plan, simulate(facts, { name: plan.name, url: plan.url }))
}

/**
 * The listener that the connection meets, most specific first: its address, every address of its family, every address.
 * Where `to` has no address, one of the latter two, else the only listener on the port.
 */
function listenerFor(plans: readonly ListenerPlan[], to: string, family: string): ListenerPlan | undefined {
  const { bind } = listenerOf(to)
  if (bind.kind === "unix") return plans.find((plan) => plan.bind.kind === "unix" && plan.bind.path === bind.path)
  const onPort = plans.filter((plan) => plan.bind.kind === "tcp" && plan.bind.port === bind.port)
  const wildcards = [family === "IPv4" ? "0.0.0.0" : "::", "*"]
  const addresses = bind.address === "*" ? wildcards : [bind.address, ...wildcards]
  for (const address of addresses) {
    const plan = onPort.find((plan) => plan.bind.kind === "tcp" && plan.bind.address === address)
    if (plan !== undefined) return plan
  }
  return bind.address === "*" && onPort.length === 1 ? onPort[0] : undefined
}

function nobodyListens(plans: readonly ListenerPlan[], to: string): number {
  const code = fail(`nothing listens on ${to}`)
  complain("The listeners are:")
  for (const { files, url } of plans)
    complain(`  ${printable(url)}  (${files.map((file) => printable(file)).join(", ")})`)
  return code
}

async function explainAt({ loader, watchdog }: Opened, plan: ListenerPlan, simulated: Simulated): Promise<number> {
  const { abort, connection, log } = simulated
  const { client, server } = connection
  const who = client.address === undefined ? "a client" : shownEndpoint(client)
  say(`${who} connects to ${server.address === undefined ? printable(plan.url) : shownEndpoint(server)}`)
  say(
    `listener ${paintOut("bold", printable(plan.url))} asks ${plan.policies.map(({ file }) => printable(file)).join(", then ")}\n`,
  )
  const { outcome, said } = await ask(
    plan.policies.map((policy) => ({ ...policy, connect: watched(policy, watchdog) })),
    connection,
    abort,
  )
  const width = Math.max(...plan.policies.map(({ file }) => file.length))
  for (const [i, policy] of plan.policies.entries()) {
    const one = said[i]
    const answer =
      one === undefined ? paintOut("dim", "not asked") : one.answer === undefined ? "failed" : one.answer.action
    say(`  ${printable(policy.file.padEnd(width))}  ${answer}`)
    if (one !== undefined && policy.hasSetup)
      say(paintOut("dim", `  ${" ".repeat(width)}  its setup was not run: resources are undefined`))
  }
  const logged = log.all()
  if (logged.length > 0) say(`\nlogged: ${logged.map((fields) => printableJson(JSON.stringify(fields))).join(" ")}`)
  say(`\n${told(outcome, positionOf(outcome, loader, plan))}`)
  return 0
}

function positionOf(outcome: Outcome, loader: Loader, plan: ListenerPlan): string | undefined {
  if (outcome.kind !== "failed") return undefined
  const asked = plan.policies.find(({ file }) => file === outcome.file)
  return loader.attribute(outcome.cause, asked)?.position
}

/** An endless loop ends the command, under the name of the file. */
function watched(policy: PolicyVersion, watchdog: Opened["watchdog"]): PolicyVersion["connect"] {
  const id = watchdog.register(policy.file)
  return (connection, resources) => {
    watchdog.enter(id)
    try {
      return policy.connect(connection, resources)
    } finally {
      watchdog.leave()
    }
  }
}

function shownEndpoint({ address, port }: { address: string | undefined; port: number | undefined }): string {
  return formatHostPort(address ?? "", port ?? 0)
}

function told(outcome: Outcome, position: string | undefined): string {
  switch (outcome.kind) {
    case "no-decision":
      return `Every policy passed. The gateway would ${paintOut("red", "close the connection")}: no-decision.`
    case "failed": {
      const where = position === undefined ? "" : ` at ${printable(position)}`
      const why = outcome.message
        .split("\n")
        .map((line) => printable(line))
        .join("\n  ")
      return `${printable(outcome.file)} failed${where}: ${why}\nThe gateway would ${paintOut("red", "close the connection")}: ${outcome.reason}.`
    }
    case "decision":
      return `The gateway would ${carriedOut(outcome.decision)}.`
  }
}

function carriedOut(decision: Decision): string {
  switch (decision.action) {
    case "route":
      return routed(decision)
    case "deny": {
      const how = decision.reset === true ? "reset (RST)" : "close (FIN)"
      const reason = decision.reason === undefined ? "" : `: ${printable(decision.reason)}`
      return `${paintOut("red", `${how} the connection`)}${after(decision.delay)} without dialling${reason}`
    }
    case "respond":
      return `${paintOut("green", "answer")}${after(decision.delay)} with ${shownBody(decision.body)}, and close`
  }
}

function routed(route: Route): string {
  const weighted = route.targets.some(({ weight }) => weight !== undefined)
  const targets = route.targets.map(
    ({ url, weight = 1 }) => `${printable(url)}${weighted ? ` (weight ${weight})` : ""}`,
  )
  const order = weighted ? `one of ${targets.join(", ")}` : targets.join(", then ")
  const options = (["connectTimeout", "idleTimeout", "maxDuration"] as const).flatMap((name) =>
    route[name] === undefined ? [] : [`${name} ${span(route[name])}`],
  )
  if (route.retries !== undefined) options.push(`retries ${route.retries}`)
  const otherwise = route.otherwise === undefined ? "" : `;\nif none can be reached, ${carriedOut(route.otherwise)}`
  return `${paintOut("green", "relay")} to ${order}${options.length === 0 ? "" : ` (${options.join(", ")})`}${otherwise}`
}

function after(delay: number | undefined): string {
  return delay === undefined || delay === 0 ? "" : ` after ${span(delay)}`
}

/** 200 characters of an answer are enough to recognise it. */
const LONGEST_BODY = 200

function shownBody(body: Body): string {
  if (typeof body === "string")
    return printableJson(JSON.stringify(body.length > LONGEST_BODY ? `${body.slice(0, LONGEST_BODY)}...` : body))
  return body instanceof Uint8Array ? counted(body.length, "byte") : "a stream"
}
