// What a route that has the traffic of a listener becomes: rules, which are asked about connections.
import type { Connection } from "../../policy/connection.ts"
import { deny, next, type Deny } from "../../policy/decision.ts"
import { describe } from "../../policy/describe.ts"
import { milliseconds } from "../../policy/duration.ts"
import type { ListenEntry } from "../../policy/listen.ts"
import { suggest } from "../../policy/suggest.ts"
import type { Modules, Rule } from "../contents.ts"
import type { Diagnostic } from "../diagnostic.ts"
import { problemAt } from "../manifests/document.ts"
import { setOf, type Effective, type Route } from "./effective.ts"
import type { Hostname } from "./hostnames.ts"
import type { ListenerState } from "./listener-state.ts"
import { titleOf } from "./objects.ts"
import { picking, type Share } from "./shares.ts"
import { endTls, withTermination } from "./terminated.ts"

/** A route on a listener whose traffic it has. */
export interface Serving {
  readonly route: Route
  readonly listener: ListenerState
  /** The names that it serves there. */
  readonly patterns: readonly Hostname[]
  readonly shares: readonly Share[]
  readonly effective: Effective
}

type Asked = Pick<Rule, "connect" | "closed" | "deadline">

/** Rules, or why there are none. */
export type Made =
  | { readonly rules: readonly Rule[]; readonly problems: undefined }
  | { readonly rules: undefined; readonly problems: readonly Diagnostic[] }

/** The rules: first the policy that is asked before the route, if there is one, then the route. */
export function rulesOf(serving: Serving, modules: Modules): Made {
  const { effective, listener, route } = serving
  const listen = listenOf(listener, serving.patterns)
  const { document } = route
  const place = (what: "listen" | "route") =>
    document.place(what === "listen" ? ["spec", "parentRefs"] : ["spec", "rules", 0, "backendRefs"])
  const guard = guardOf(effective)
  const { only, pick } = picking(serving.shares)
  const { terminate } = listener
  const through = only !== undefined && only.action === "route" && listener.mode !== "Terminate" ? only : undefined
  const answer = listener.mode !== "Terminate" ? pick : answering(pick, terminate)
  const rule: Rule = {
    title: titleOf(route),
    listen,
    deadline: undefined,
    // Who has code asked first is guarded there.
    connect:
      guard === undefined || effective.code !== undefined
        ? answer
        : (connection) => guard(connection) ?? answer(connection),
    closed: undefined,
    last: true,
    route: through,
    place,
  }
  const { code } = effective
  if (code === undefined) return { rules: [rule], problems: undefined }
  const asked = askedOf(code, modules)
  if (!("connect" in asked)) return { rules: undefined, problems: asked }
  const connect: Rule["connect"] =
    listener.mode === "Terminate" && terminate !== undefined
      ? (connection, resources) =>
          guard?.(connection) ?? asked.connect(withTermination(connection, terminate(connection.tls?.sni)), resources)
      : (connection, resources) => guard?.(connection) ?? asked.connect(connection, resources)
  const before: Rule = { ...rule, ...asked, connect, title: titleOf(code.policy), route: undefined }
  return { rules: [before, rule], problems: undefined }
}

/** What is refused is refused before a handshake. */
function answering(pick: ReturnType<typeof picking>["pick"], terminate: ListenerState["terminate"]) {
  return (connection: Connection) => {
    const decision = pick()
    if (decision.action !== "route") return decision
    // The listener half lets nothing serve that cannot end TLS.
    if (terminate === undefined) return next
    return endTls(connection, terminate(connection.tls?.sni)).then(() => decision)
  }
}

function listenOf({ listen }: ListenerState, patterns: readonly Hostname[]): readonly ListenEntry[] {
  return patterns.flatMap((pattern) =>
    listen.map((entry) =>
      entry.pattern === pattern || pattern === undefined || entry.bind.kind !== "tcp"
        ? entry
        : { ...entry, pattern, url: `${entry.scheme}://${pattern}:${entry.bind.port}` },
    ),
  )
}

/** Who is not let in, before anybody else is asked. */
function guardOf({ allow, deny: denied }: Effective): ((connection: Connection) => Deny | undefined) | undefined {
  if (allow === undefined && denied === undefined) return undefined
  const allowed = allow === undefined ? undefined : setOf(allow.value)
  const refused = denied === undefined ? undefined : setOf(denied.value)
  const stranger = allow && deny(`${titleOf(allow.policy)}: not among clients.allow`)
  const unwanted = denied && deny(`${titleOf(denied.policy)}: among clients.deny`)
  return ({ client }) => {
    if (refused !== undefined && client.within(refused)) return unwanted
    if (allowed !== undefined && !client.within(allowed)) return stranger
    return undefined
  }
}

/** What a policy file is asked as, so that the same code may be one. */
const CONNECT = "on_tcp_connect"

/** The function that a policy names. */
function askedOf({ policy, value }: NonNullable<Effective["code"]>, modules: Modules): Asked | readonly Diagnostic[] {
  const { document } = policy
  const problem = (message: string, ...path: string[]) => [problemAt(document, ["spec", "policy", ...path], message)]
  const module = modules.get(value.module)
  if (module === undefined) return problem(`${JSON.stringify(value.module)} is not loaded`, "module")
  const name = value.export ?? (CONNECT in module ? CONNECT : "default")
  const connect = module[name]
  if (typeof connect !== "function") {
    const functions = Object.keys(module).filter((key) => typeof module[key] === "function")
    const meant = suggest(name, functions)
    const found = connect === undefined ? "it has none" : `found ${describe(connect)}`
    const instead =
      meant === undefined
        ? functions.length > 0
          ? `; it has ${functions.join(", ")}`
          : ""
        : `; did you mean ${JSON.stringify(meant)}?`
    const wanted = name === "default" ? `${CONNECT}, or a default export` : name
    return problem(
      `${JSON.stringify(value.module)}: expected a function ${wanted}, ${found}${instead}`,
      value.export === undefined ? "module" : "export",
    )
  }
  if (module["setup"] !== undefined)
    return problem(
      `${JSON.stringify(value.module)} exports setup, which is run for policies of their own only; do at its top level what is to be done once`,
      "module",
    )
  try {
    const deadline = module["deadline"] === undefined ? undefined : milliseconds(module["deadline"], "deadline")
    const closed = value.export === undefined ? module["on_tcp_close"] : undefined
    return {
      connect: (connection, resources) => connect(connection, resources),
      closed: typeof closed === "function" ? (summary, resources) => void closed(summary, resources) : undefined,
      deadline,
    }
  } catch (error) {
    return problem(
      `${JSON.stringify(value.module)}: ${error instanceof Error ? error.message : String(error)}`,
      "module",
    )
  }
}
