// `tidegate explain`: which policies are asked about a connection, what each answers, and what the gateway would do,
// without doing it.
import { readFile } from "node:fs/promises"
import { renderDiagnostic } from "../config/diagnostic.ts"
import type { Loader } from "../config/loader.ts"
import { nameGroups } from "../config/served-names.ts"
import type { ListenerPlan, PolicyVersion } from "../config/snapshot.ts"
import { printable, printableJson } from "../observe/printable.ts"
import { formatHostPort } from "../policy/address.ts"
import { ask, type Outcome } from "../policy/ask.ts"
import type { Connection } from "../policy/connection.ts"
import { FactsInvalid, listenerOf, simulate, type Facts, type Simulated } from "../policy/simulated.ts"
import { againstPools, consequence, refused, type Situation } from "./consequence.ts"
import { NoProxyHeaders, proxyProblem } from "./explain-proxy.ts"
import { open, type Opened, type OpenOptions } from "./load.ts"
import { shownNames } from "./names.ts"
import { complain, fail, paintErr, paintOut, say, UNUSABLE } from "./say.ts"

export interface ExplainOptions extends OpenOptions {
  /** The client. Left out on a unix: listener. */
  readonly from: string | undefined
  readonly to: string
  /** The load balancer that passes it on with a PROXY header. */
  readonly via: string | undefined
  /** The server name that the client asks for. */
  readonly sni: string | undefined
  /** The application protocols that it offers, with commas between them. */
  readonly alpn: string | undefined
  /** A file with what the client sends first. */
  readonly bytes: string | undefined
}

/** Gives the exit code: 0 when the connection is explained, whatever becomes of it. */
export async function explain(options: ExplainOptions): Promise<number> {
  const { bytes, to } = options
  let sent: Uint8Array | undefined
  try {
    sent = bytes === undefined ? undefined : await readFile(bytes)
  } catch (error) {
    return fail(`--bytes: ${error instanceof Error ? error.message : String(error)}`)
  }
  const facts = factsOf(options, sent)
  let family: string
  try {
    family = socketFamily(simulate(facts).connection)
  } catch (error) {
    if (error instanceof FactsInvalid) return fail(`--${error.message.replace(/^tls: /, "")}`)
    throw error
  }
  const opened = await open(options)
  if (opened.problems.length > 0) {
    for (const problem of opened.problems) complain(`${renderDiagnostic(problem, paintErr)}\n`)
    complain("The gateway would not start with these policies.")
    return UNUSABLE
  }
  const plans = [...opened.snapshot.listeners.values()]
  const plan = listenerFor(plans, to, family)
  if (plan === undefined) return nobodyListens(plans, to)
  try {
    return await explainAt(opened, plan, simulate(facts, plan))
  } catch (error) {
    if (error instanceof NoProxyHeaders) return fail(`--via: ${error.message}`)
    throw error
  }
}

/** Of who opens the socket: the load balancer, or the client itself. */
function socketFamily({ client, via }: Connection): string {
  return via?.address === undefined ? client.family : via.address.includes(":") ? "IPv6" : "IPv4"
}

function factsOf({ alpn, from, sni, to, via }: ExplainOptions, bytes: Uint8Array | undefined): Facts {
  const protocols = alpn?.split(",").map((name) => name.trim())
  const tls = {
    ...(sni === undefined ? {} : { sni }),
    ...(protocols === undefined ? {} : { alpn: protocols }),
  }
  return {
    to,
    ...(from === undefined ? {} : { from }),
    ...(via === undefined ? {} : { via }),
    ...(bytes === undefined ? {} : { bytes }),
    ...(sni === undefined && alpn === undefined ? {} : { tls }),
  }
}

/**
 * The listener that the connection meets, most specific first: its address, every address of its family, every address.
 * Where `to` has no address, one of the latter two, else one that serves the name, else the only listener on the port.
 */
function listenerFor(plans: readonly ListenerPlan[], to: string, family: string): ListenerPlan | undefined {
  const { bind, pattern, scheme } = listenerOf(to)
  if (bind.kind === "unix") return plans.find((plan) => plan.bind.kind === "unix" && plan.bind.path === bind.path)
  const atPort = plans.filter((plan) => plan.bind.kind === "tcp" && plan.bind.port === bind.port)
  const speaking = atPort.filter((plan) => plan.scheme === scheme)
  const serving = pattern === undefined ? [] : speaking.filter(({ names }) => names?.find(pattern) !== undefined)
  const candidates = [serving, speaking, atPort].find((list) => list.length > 0) ?? []
  const wildcards = [family === "IPv4" ? "0.0.0.0" : "::", "*"]
  for (const address of bind.address === "*" ? wildcards : [bind.address, ...wildcards]) {
    const plan = candidates.find((plan) => plan.bind.kind === "tcp" && plan.bind.address === address)
    if (plan !== undefined) return plan
  }
  return bind.address === "*" && (serving.length > 0 || candidates.length === 1) ? candidates[0] : undefined
}

function nobodyListens(plans: readonly ListenerPlan[], to: string): number {
  const code = fail(`nothing listens on ${to}`)
  complain("The listeners are:")
  for (const plan of plans) complain(`  ${printable(plan.url)}  (${listed(plan.files, ", ")})`)
  return code
}

function listed(files: readonly string[], between: string): string {
  return files.map((file) => printable(file)).join(between)
}

async function explainAt(
  { loader, snapshot, watchdog }: Opened,
  plan: ListenerPlan,
  simulated: Simulated,
): Promise<number> {
  const { connection, log, refused: before } = simulated
  const { client, server, via } = connection
  const problem = proxyProblem(plan, connection)
  const who = client.address === undefined ? "a client" : shownEndpoint(client)
  say(
    `${who}${via === undefined ? "" : ` via ${via.address === undefined ? "a load balancer" : shownEndpoint(via)}`} connects to ${server.address === undefined ? printable(plan.url) : shownEndpoint(server)}${saying(connection)}`,
  )
  if (problem !== undefined) {
    say(`listener ${paintOut("bold", printable(plan.url))} asks nobody: ${problem.why}\n`)
    say(`The gateway would ${paintOut("red", problem.end)}.`)
    return 0
  }
  if (before !== undefined) {
    const said = before.alert === undefined ? "" : `send the TLS alert ${before.alert} and `
    say(`listener ${paintOut("bold", printable(plan.url))} asks nobody: ${printable(before.message)}\n`)
    say(`The gateway would ${said}${paintOut("red", "close the connection")}: ${before.reason}.`)
    return 0
  }
  const asked = plan.names === undefined ? plan.policies : plan.names.find(connection.tls?.sni)
  if (asked === undefined) return nobodyIsAsked(plan, connection)
  say(`listener ${paintOut("bold", printable(plan.url))} asks ${listed(asked.map(nameOf), ", then ")}\n`)
  const { outcome, said } = await ask(
    asked.map((policy) => ({ ...policy, connect: watched(policy, watchdog) })),
    simulated,
  )
  const width = Math.max(...asked.map((policy) => nameOf(policy).length))
  for (const [i, policy] of asked.entries()) {
    const one = said[i]
    const answer =
      one === undefined ? paintOut("dim", "not asked") : one.answer === undefined ? "failed" : one.answer.action
    say(`  ${printable(nameOf(policy).padEnd(width))}  ${answer}`)
    if (one !== undefined && policy.hasSetup)
      say(paintOut("dim", `  ${" ".repeat(width)}  its setup was not run: resources are undefined`))
  }
  const logged = log.all()
  if (logged.length > 0) say(`\nlogged: ${logged.map((fields) => printableJson(JSON.stringify(fields))).join(" ")}`)
  const situation = await situationOf(plan, simulated)
  const end = againstPools(outcome, situation, snapshot.pools)
  say(`\n${consequence(end, situation, positionOf(end, loader, asked), snapshot.pools)}`)
  return 0
}

/** The file, and which part of it. */
function nameOf({ file, title }: PolicyVersion): string {
  return title === undefined ? file : `${file} (${title})`
}

/** 100: there may be 100,000. */
const MOST_GROUPS = 100

/** What the client has said of itself before the policies are asked. */
function saying({ postgres, tls }: Connection): string {
  if (tls !== undefined) {
    const alpn = tls.alpn.length === 0 ? "" : `, offering ${tls.alpn.map((name) => printable(name)).join(", ")}`
    return `${tls.sni === undefined ? ", speaking TLS to no name" : `, asking for ${printable(tls.sni)}`}${alpn}`
  }
  if (postgres?.kind === "cancel") return ", to cancel a query"
  return postgres === undefined ? "" : ", speaking PostgreSQL in plain text"
}

function nobodyIsAsked(plan: ListenerPlan, connection: Connection): number {
  const { postgres, tls } = connection
  say(`listener ${paintOut("bold", printable(plan.url))} asks nobody: no name matches. It serves`)
  const groups = nameGroups(plan)
  for (const { files, patterns } of groups.slice(0, MOST_GROUPS))
    say(`  ${shownNames(patterns)}  (${listed(files, ", ")})`)
  if (groups.length > MOST_GROUPS) say(`  and ${groups.length - MOST_GROUPS} more`)
  const situation = {
    hello: tls !== undefined,
    terminated: false,
    postgres: plan.scheme === "postgres" && postgres?.kind === "startup",
    protocol: undefined,
  }
  say(`\nThe gateway would ${refused("no-policy", situation)}.`)
  return 0
}

async function situationOf(plan: ListenerPlan, { connection, isTerminated }: Simulated): Promise<Situation> {
  const terminated = isTerminated()
  const { postgres, tls } = connection
  return {
    hello: tls !== undefined,
    terminated,
    postgres: plan.scheme === "postgres" && (terminated || postgres?.kind === "startup"),
    protocol: (await connection.protocol().catch(() => undefined))?.protocol,
  }
}

function positionOf(outcome: Outcome, loader: Loader, policies: readonly PolicyVersion[]): string | undefined {
  if (outcome.kind !== "failed") return undefined
  const asked = policies.find(({ file }) => file === outcome.file)
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
