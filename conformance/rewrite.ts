// The suite tests Gateways with HTTP listeners even where no HTTP is spoken. Those tests are replayed with listeners that
// we have: HTTP becomes TCP, HTTPS becomes TLS. What is about HTTP listeners is left alone.
import type { Check, ObjectCheck } from "./checks.ts"
import type { Test } from "./expectations.ts"
import { list, listenersOf, record, type Manifested, type Manifests } from "./manifest.ts"

const OURS = ["TCP", "TLS"]
const BECOMES: Readonly<Record<string, string>> = { HTTP: "TCP", HTTPS: "TLS" }
const ROUTE: Readonly<Record<string, string>> = { TCP: "TCPRoute", TLS: "TLSRoute" }

export interface Rewritten {
  readonly test: Test
  /** What was done, for people; nothing where nothing was. */
  readonly remark: string | undefined
}

/** Edits the manifests, and what is expected of the kinds of routes. */
export function rewriteListeners(test: Test, manifests: Manifests): Rewritten {
  const objects = manifests.objects()
  const owners = objects.filter(({ kind }) => kind === "Gateway" || kind === "ListenerSet")
  const listeners = owners.flatMap((owner) => listenersOf(owner).map((listener) => ({ owner, listener })))
  const isAboutOthers =
    objects.some(({ kind }) => kind.endsWith("Route")) ||
    listeners.some(({ listener }) => OURS.includes(listener.protocol)) ||
    test.steps.some(({ checks }) => checks.some((check) => check.about !== "object"))
  const foreign = listeners.filter(({ listener }) => listener.protocol in BECOMES && !isMeant(test, listener.name))
  if (isAboutOthers || foreign.length === 0) return { test, remark: undefined }
  const done = new Map<string, string>()
  for (const owner of owners) rewriteOwner(owner, test, done)
  const steps = test.steps.map((step) => ({ ...step, checks: step.checks.map((check) => rewriteCheck(check, done)) }))
  const changes = new Set([...done.values()].map((protocol) => (protocol === "TCP" ? "HTTP -> TCP" : "HTTPS -> TLS")))
  return { test: { ...test, steps }, remark: `listeners rewritten: ${[...changes].join(", ")}` }
}

/** Whether the test wants the listener not to be accepted for what it speaks. */
function isMeant(test: Test, listener: string): boolean {
  return test.steps.some(({ checks }) =>
    checks.some(
      (check) =>
        check.about === "object" &&
        check.part === listener &&
        check.field.of === "condition" &&
        check.field.reason === "UnsupportedProtocol",
    ),
  )
}

function rewriteOwner({ document, value }: Manifested, test: Test, done: Map<string, string>): void {
  const listeners = list(record(value["spec"])["listeners"])
  const taken = new Set<number>()
  listeners.forEach((listener, i) => {
    const at = (...path: (string | number)[]) => ["spec", "listeners", i, ...path]
    const protocol = BECOMES[String(listener["protocol"])]
    let port = Number(listener["port"])
    if (protocol === undefined || isMeant(test, String(listener["name"]))) return void taken.add(port)
    done.set(String(listener["name"]), protocol)
    document.setIn(at("protocol"), protocol)
    if (protocol === "TLS" && record(listener["tls"])["mode"] === undefined)
      document.setIn(at("tls", "mode"), "Terminate")
    // Listeners of TCP have no names by which two could share a port.
    if (protocol === "TCP") {
      document.deleteIn(at("hostname"))
      while (taken.has(port)) port++
      document.setIn(at("port"), port)
    }
    taken.add(port)
    list(record(listener["allowedRoutes"])["kinds"]).forEach(({ kind }, k) => {
      if (kind === "HTTPRoute") document.setIn(at("allowedRoutes", "kinds", k, "kind"), ROUTE[protocol])
    })
  })
}

function rewriteCheck(check: Check, done: ReadonlyMap<string, string>): Check {
  if (check.about !== "object" || check.field.of !== "supportedKinds" || check.part === undefined) return check
  const protocol = done.get(check.part)
  if (protocol === undefined) return check
  const kinds = check.field.kinds.map((kind) => (kind === "HTTPRoute" ? ROUTE[protocol]! : kind))
  return { ...check, field: { of: "supportedKinds", kinds } } satisfies ObjectCheck
}
