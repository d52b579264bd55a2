// A data path without files: policies are functions, listeners are bound on port 0, events are kept in a list.
import { makeDataPath } from "../../src/connection/sockets.ts"
import { Listeners, type ListenerStatus } from "../../src/connection/listeners.ts"
import type { DataPath, Exits, Settings } from "../../src/connection/data-path.ts"
import { Usage, type ListenerPlan, type PolicyVersion, type Snapshot } from "../../src/config/snapshot.ts"
import { compile } from "../../src/config/compile.ts"
import type { CloseReason, Connection, Summary } from "../../src/policy/connection.ts"
import { parseListen } from "../../src/policy/listen.ts"
import { clientCertificate } from "../../src/tls/client-certificate.ts"

export type OnConnect = (connection: Connection) => unknown

export interface TestPolicy {
  readonly listen?: unknown
  readonly deadline?: number
  readonly on_tcp_connect: OnConnect
  readonly on_tcp_close?: (summary: Summary) => void
}

export interface TestGateway extends Disposable {
  readonly port: number
  readonly path: DataPath
  readonly listeners: Listeners
  readonly events: Summary[]
  readonly failures: { file: string; error: unknown }[]
  readonly internalErrors: unknown[]
  /** Why clients were turned away before they became connections. */
  readonly refusals: CloseReason[]
  /** Listeners that changed between up and down by themselves. */
  readonly changes: ListenerStatus[]
  /** Resolves when `n` connections have ended. */
  ended(n: number): Promise<Summary[]>
  apply(policies: readonly TestPolicy[]): void
}

export function versionOf(policy: TestPolicy, file: string): PolicyVersion {
  return {
    file,
    title: undefined,
    path: `/policies/${file}`,
    version: "0".repeat(12),
    listen: policy.listen === undefined ? undefined : parseListen(policy.listen),
    last: false,
    deadline: policy.deadline,
    pools: new Map(),
    connect: policy.on_tcp_connect,
    closed: policy.on_tcp_close,
    hasSetup: false,
    resources: undefined,
    failures: { count: 0, logged: new Set() },
  }
}

export function snapshotOf(policies: readonly TestPolicy[]): Snapshot {
  const versions = policies.map((policy, i) => versionOf(policy, `p${i}.ts`))
  const listeners = new Map<string, ListenerPlan>()
  for (const [key, plan] of compile(versions)) listeners.set(key, { ...plan, usage: new Usage(() => undefined) })
  return {
    id: "test",
    listeners,
    policies: versions,
    pools: new Map(),
    poolFiles: new Map(),
    geoip: [],
    files: [],
    objects: [],
  }
}

const defaults: Settings = {
  maxConnections: 5000,
  descriptors: 20_000,
  policyDeadline: 5000,
  allowLinkLocal: false,
  allowOwnListeners: false,
  worker: "00",
}

/** Starts a gateway whose only policy is this function, unless a list is given. */
export function gateway(
  policies: OnConnect | readonly TestPolicy[],
  settings: Partial<Settings> = {},
  exits: Partial<Exits> = {},
): TestGateway {
  const events: Summary[] = []
  const failures: TestGateway["failures"] = []
  const internalErrors: unknown[] = []
  const refusals: CloseReason[] = []
  const changes: ListenerStatus[] = []
  let waiting: { n: number; resolve: (events: Summary[]) => void }[] = []
  const path = makeDataPath(
    { ...defaults, ...settings },
    {
      closed(summary) {
        events.push(summary)
        const done = waiting.filter((each) => events.length >= each.n)
        waiting = waiting.filter((each) => events.length < each.n)
        for (const each of done) each.resolve(events)
      },
      refused: (_, reason) => refusals.push(reason),
      policyFailed: (policy, error) => failures.push({ file: policy.file, error }),
      internalError: (error) => internalErrors.push(error),
      runEffect: () => {
        throw new Error("no effects in this test")
      },
      enter: () => undefined,
      leave: () => undefined,
      resolve: (host) => Promise.reject(new Error(`no names in this test: ${host}`)),
      pools: { find: () => undefined, names: () => [] },
      ownAddress: (ip, port) => listeners.ownAddress(ip, port),
      ownPath: (file) => listeners.ownPath(file),
      certificates: () => [],
      clientCertificate,
      ...exits,
    },
  )
  const listeners: Listeners = new Listeners(path, { changed: (status) => changes.push(status) })
  const list = typeof policies === "function" ? [{ listen: "tcp://127.0.0.1:0", on_tcp_connect: policies }] : policies
  listeners.apply(snapshotOf(list))
  listeners.open()
  const first = listeners.status()[0]
  if (first === undefined || first.state === "down") throw new Error(`not bound: ${first?.error}`)
  return {
    port: Number(first.address?.split(":").at(-1)),
    path,
    listeners,
    events,
    failures,
    internalErrors,
    refusals,
    changes,
    ended: (n) =>
      events.length >= n ? Promise.resolve(events) : new Promise((resolve) => waiting.push({ n, resolve })),
    apply: (next) => listeners.apply(snapshotOf(next)),
    [Symbol.dispose]() {
      listeners.close()
      for (const connection of path.live) connection.abort("shutdown", "gateway")
      path.wheel.stop()
    },
  }
}
