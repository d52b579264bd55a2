// An object that a test makes while the gateway runs: written out, or told in one sentence like
// `TCPRoute newer, created >=1s later: parentRef some-gateway/section, backend some-service:3000`.
import type { Value } from "./reading.ts"

export interface Extra {
  readonly object: Readonly<Record<string, unknown>>
  /** Milliseconds after everything else. */
  readonly after: number
}

/** A second: what the clock of a cluster tells apart. */
const DEFAULT_AFTER = 1000
const SENTENCE =
  /^(?<kind>\w+Route) (?<name>[\w.-]+)(?:, created (?:>=|at least )?(?<after>[\d.]+) ?s later)?: (?<rest>.+)$/
const CLAUSES = {
  parentRef: /^parentRef (?<name>[\w.-]+)(?:\/(?<section>[\w.-]+))?(?::(?<port>\d+))?$/,
  backend: /^backend (?:(?<namespace>[\w.-]+)\/)?(?<name>[\w.-]+):(?<port>\d+)(?: weight (?<weight>\d+))?$/,
  hostname: /^hostname (?<name>[\w.*-]+)$/,
} as const

/** @throws Misread */
export function readExtra(field: Value, namespace: string): Extra {
  if (field.isObject) return { object: Object.fromEntries(Object.entries(field.value as object)), after: DEFAULT_AFTER }
  const told = SENTENCE.exec(field.text())?.groups
  if (told === undefined)
    throw field.expected(
      "an object, or `KIND NAME, created >=1s later: parentRef GATEWAY/SECTION, backend SERVICE:PORT`",
    )
  const spec = specOf(told["rest"]!, field)
  return {
    object: {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: told["kind"],
      metadata: { name: told["name"], namespace },
      spec,
    },
    after: told["after"] === undefined ? DEFAULT_AFTER : Number(told["after"]) * 1000,
  }
}

function specOf(text: string, field: Value): unknown {
  const parentRefs: unknown[] = []
  const backendRefs: unknown[] = []
  const hostnames: string[] = []
  for (const clause of text.split(/,\s*|\s+and\s+/)) {
    const parent = CLAUSES.parentRef.exec(clause)?.groups
    const backend = CLAUSES.backend.exec(clause)?.groups
    const hostname = CLAUSES.hostname.exec(clause)?.groups
    if (parent !== undefined)
      parentRefs.push(present({ name: parent["name"], sectionName: parent["section"], port: number(parent["port"]) }))
    else if (backend !== undefined) {
      const { name, namespace, port, weight } = backend
      backendRefs.push(present({ name, namespace, port: number(port), weight: number(weight) }))
    } else if (hostname !== undefined) hostnames.push(hostname["name"]!)
    else throw field.fail(`${JSON.stringify(clause)} says nothing that is known here: parentRef, backend or hostname`)
  }
  if (parentRefs.length === 0 || backendRefs.length === 0) throw field.fail("expected a parentRef and a backend")
  return present({ parentRefs, hostnames: hostnames.length > 0 ? hostnames : undefined, rules: [{ backendRefs }] })
}

function number(digits: string | undefined): number | undefined {
  return digits === undefined ? undefined : Number(digits)
}

function present(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
