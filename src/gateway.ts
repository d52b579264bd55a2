// The composition root: everything that a running gateway is made of, in data order, each part acquired and released
// by the scope of the program. Effect owns what has a lifetime or waits; the bytes move in src/connection.
import { Cause, Effect, Exit, Option, type Scope } from "effect"
import manifest from "../package.json" with { type: "json" }
import { followAddressLists } from "./address-lists.ts"
import { gatewaySubject } from "./admin/control-path.ts"
import { ControlFailed, openControl, type Status } from "./admin/control.ts"
import { openCertificates, type CertificateOptions } from "./certificates.ts"
import { isSameList } from "./config/compile.ts"
import { configuredDatabases } from "./config/config-source.ts"
import { diagnostic, renderDiagnostic, type Diagnostic } from "./config/diagnostic.ts"
import { servedNames } from "./config/served-names.ts"
import { Loader } from "./config/loader.ts"
import { servingOf, withListeners, type PrintedObject } from "./config/manifests/status.ts"
import type { Snapshot } from "./config/snapshot.ts"
import { watch } from "./config/watch.ts"
import { openGeo } from "./geo.ts"
import type { DataPath, Outcome, Settings } from "./connection/data-path.ts"
import { leaveMember } from "./connection/leave-member.ts"
import { refusedAddress } from "./connection/refusal.ts"
import { Listeners } from "./connection/listeners.ts"
import { Resolver } from "./upstream/resolve.ts"
import { makeDataPath } from "./connection/sockets.ts"
import { howToTry } from "./how-to-try.ts"
import { Failures } from "./observe/failures.ts"
import type { Events } from "./observe/events.ts"
import type { Log } from "./observe/log.ts"
import { openLookups, type LookupOptions } from "./lookups.ts"
import { openPools } from "./pools.ts"
import { makeDns } from "./upstream/dns.ts"
import { follow } from "./upstream/follow.ts"
import { probe } from "./upstream/probe.ts"
import { poolStatus } from "./upstream/status.ts"
import { Watchdog } from "./observe/watchdog.ts"

/** What a gateway needs to know; durations in milliseconds. */
export interface GatewayOptions {
  readonly folder: string
  readonly config: string | undefined
  readonly control: string | undefined
  readonly settings: Settings
  readonly format: "json" | "pretty"
  readonly certificates: CertificateOptions
  /** Files and folders of databases for `geo`. */
  readonly geoip: readonly string[]
  readonly lookups: LookupOptions
  /** DNS servers for targets that follow the DNS. Empty: the system's. */
  readonly dns: readonly string[]
}

/** The start failed: the messages say why. `exitCode` 2: the policies; 1: what they ask of this machine. */
export class StartFailed {
  readonly _tag = "StartFailed"
  readonly exitCode: 1 | 2
  readonly messages: readonly string[]
  constructor(exitCode: 1 | 2, messages: readonly string[]) {
    this.exitCode = exitCode
    this.messages = messages
  }
}

/** A gateway that serves. */
export interface Gateway {
  readonly path: DataPath
  readonly listeners: Listeners
  readonly controlPath: string | undefined
  /** Rescans the folder now; files that failed are tried again even when nothing changed. */
  readonly reload: (retryFailed: boolean) => Promise<void>
  /** Not ready from here on, but still accepting. */
  readonly unready: () => void
  /** Stops accepting, waits up to `milliseconds` for connections to end, then cuts the rest. */
  readonly drain: (milliseconds: number) => Effect.Effect<{ readonly ended: number; readonly cut: number }>
}

interface State {
  ready: boolean
  draining: boolean
  readonly startedAt: Date
  snapshot?: Snapshot | undefined
  /** A reload is asked for. */
  due?: "scan" | "retry" | undefined
  reloading?: Promise<void> | undefined
}

export const gateway = (
  options: GatewayOptions,
  log: Log,
  events: Events,
): Effect.Effect<Gateway, StartFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const state: State = { ready: false, draining: false, startedAt: new Date() }

    const watchdog = yield* Effect.acquireRelease(
      Effect.sync(
        () => new Watchdog({ format: options.format, failed: (message) => log.warn(`no watchdog: ${message}`) }),
      ),
      (watchdog) => Effect.sync(() => watchdog.close()),
    )
    const configured = yield* Effect.promise(() => configuredDatabases(options.config))
    const geo = yield* Effect.mapError(
      openGeo([...options.geoip, ...configured], log),
      (problems) =>
        new StartFailed(
          2,
          problems.map(({ message, path }) => render(diagnostic({ path }, message))),
        ),
    )
    yield* Effect.mapError(
      openLookups(options.lookups, geo?.place, log),
      (problems) =>
        new StartFailed(
          2,
          problems.map(({ message, path }) => render(diagnostic({ path }, message))),
        ),
    )
    const failures = new Failures(log, watchdog)
    const loader = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new Loader(options.folder, {
            config: options.config,
            runSetup: true,
            hasDatabases: geo !== undefined,
            onEvaluate: (file) => failures.loading(file),
            onEvaluated: () => watchdog.loaded(),
            onSettled: () => void reload(false),
            onDisposeFailed: ({ file, version, error }) =>
              log.error(`${file}: disposing what setup made failed: ${String(error)}`, { file, version }),
          }),
      ),
      (loader) => Effect.promise(() => loader.close()),
    )
    failures.attributeBy((error, asked) => loader.attribute(error, asked))
    yield* Effect.acquireRelease(
      Effect.sync(() => failures.catchStray()),
      (stray) => Effect.sync(() => stray[Symbol.dispose]()),
    )

    const loaded = yield* Effect.promise(() => loader.load())
    if (loaded.problems.length > 0) return yield* Effect.fail(new StartFailed(2, loaded.problems.map(render)))
    failures.report([], [], loaded.warnings.map(render))

    const certificates = yield* Effect.mapError(
      openCertificates(options.certificates, log),
      (message) => new StartFailed(2, [`certificates: ${message}`]),
    )
    const resolver = new Resolver()
    const dns = yield* Effect.try({
      try: () => makeDns(options.dns.length === 0 ? {} : { servers: options.dns }),
      catch: (error) => new StartFailed(2, [`--dns: ${error instanceof Error ? error.message : String(error)}`]),
    })
    const pools = yield* openPools({
      log,
      probe: (target, health, { proxyProtocol, tls }) =>
        probe(target, health, {
          proxyProtocol,
          resolve: (host) => resolver.resolve(host),
          tls,
          secureContext: (settings) => path.contexts.forUpstream(settings),
          refusal: (ip, port) => refusedAddress(path, ip, port),
        }),
      follow: (source, exits) => follow(source, { ...exits, dns }),
      leave: (member, who, why) => leaveMember(path, member, who, why),
      failed: (error) => failures.internalError(error),
    })
    const path = makeDataPath(options.settings, {
      closed: events.wanted ? (summary) => events.closed(summary) : undefined,
      refused: (plan, reason) => events.refused({ name: plan.name, url: plan.url }, reason),
      policyFailed: (policy, error) => failures.policyFailed(policy, error),
      internalError: (error) => failures.internalError(error),
      runEffect,
      enter: (policy) => failures.enter(policy),
      leave: () => watchdog.leave(),
      resolve: (host) => resolver.resolve(host),
      pools: pools.registry,
      ownAddress: (ip, port) => listeners.ownAddress(ip, port),
      ownPath: (file) => listeners.ownPath(file),
      certificates: certificates.choose,
      clientCertificate: async (certificate) =>
        (await import("./tls/client-certificate.ts")).clientCertificate(certificate),
      where: geo?.where,
    })
    const listeners: Listeners = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new Listeners(path, {
            changed: ({ plan, address }) =>
              log.info(`${plan.url} is open again on ${address}: ${plan.files.join(", ")}`),
          }),
      ),
      (listeners) => Effect.sync(() => shutDown(listeners, path)),
    )
    pools.apply(loaded.snapshot.pools)
    listeners.apply(loaded.snapshot)
    const down = listeners.down()
    if (down.length > 0) {
      const messages = down.map(({ plan, error }) => `${plan.files.join(", ")}: cannot listen on ${plan.url}: ${error}`)
      return yield* Effect.fail(new StartFailed(1, messages))
    }
    loader.commit(loaded.snapshot)
    state.snapshot = loaded.snapshot

    const lists = yield* followAddressLists(log, () => {
      if (state.ready) void reload(true)
    })
    const control = yield* Effect.acquireRelease(openControlOrWarn(options, log, status, objects), (control) =>
      Effect.sync(() => control?.close()),
    )
    const watcher = yield* Effect.acquireRelease(
      Effect.sync(() =>
        watch(
          () => loader.folders(),
          () => void reload(false),
        ),
      ),
      (watcher) => Effect.sync(() => watcher.close()),
    )
    listeners.open()
    state.ready = true

    return {
      path,
      listeners,
      controlPath: control?.path,
      reload,
      unready() {
        state.ready = false
      },
      drain: (milliseconds) =>
        Effect.suspend(() => {
          state.ready = false
          state.draining = true
          watcher.close()
          const before = path.live.size
          listeners.close()
          path.letGo()
          return Effect.map(
            Effect.timeoutOption(
              Effect.promise(() => path.empty()),
              milliseconds,
            ),
            (emptied) => {
              const cut = Option.isSome(emptied) ? 0 : path.live.size
              cutAll(path)
              return { ended: before - cut, cut }
            },
          )
        }),
    }

    /** Reloads follow each other; what is asked for while one runs is one more. */
    function reload(retryFailed: boolean): Promise<void> {
      if (retryFailed) state.due = "retry"
      else state.due ??= "scan"
      return (state.reloading ??= reloadAll().finally(() => (state.reloading = undefined)))
    }

    async function reloadAll(): Promise<void> {
      while (state.due !== undefined && !state.draining) {
        const retryFailed = state.due === "retry"
        state.due = undefined
        if (retryFailed) {
          void lists.look()
          void geo?.look()
          await certificates.reload()
        }
        const { snapshot, changed, loading, problems, warnings } = await loader.load({ retryFailed })
        if (state.draining) return
        failures.report(problems.map(render), loading.map(render), warnings.map(render))
        watcher.refresh()
        lists.refresh()
        if (!changed) continue
        const before = state.snapshot
        pools.apply(snapshot.pools)
        listeners.apply(snapshot)
        loader.commit(snapshot)
        state.snapshot = snapshot
        logChanges(log, before, snapshot, listeners)
        if (before !== undefined && !isSameList(before.geoip, snapshot.geoip))
          log.warn("other databases are named in geoip: they are opened at the next start")
      }
    }

    function objects(): readonly PrintedObject[] {
      const states = new Map(listeners.status().map(({ plan, state }) => [plan.identity, state]))
      if (state.snapshot === undefined) return []
      const serving = servingOf(state.snapshot.listeners, (identity) => states.get(identity) === "down")
      return withListeners(state.snapshot.objects, serving)
    }

    function status(): Status {
      const { snapshot } = state
      return {
        pid: process.pid,
        version: manifest.version,
        startedAt: state.startedAt.toISOString(),
        ready: state.ready,
        draining: state.draining,
        snapshot: snapshot?.id ?? "",
        connections: { active: path.live.size, max: path.cap, accepted: path.accepted, held: path.delayed },
        listeners: listeners.status().map(({ plan, state, address, error, active }) => ({
          name: plan.name,
          url: plan.url,
          state,
          address,
          error,
          files: plan.files,
          names: servedNames(plan),
          active,
        })),
        files: snapshot?.files ?? [],
        pools: pools.registry.all().map(poolStatus),
        certificates: certificates.identities().map(({ file, names, addresses, algorithm, notAfter }) => ({
          file,
          names: [...names, ...addresses],
          algorithm,
          expires: notAfter.toISOString(),
        })),
        lists: lists.status(),
        databases: geo?.status() ?? [],
        events: { dropped: events.dropped },
      }
    }
  })

const render = (problem: Diagnostic) => renderDiagnostic(problem)

/** Runs a policy's Effect; what is returned interrupts it. The one fork from the data path into Effect. */
function runEffect(effect: object, settle: (outcome: Outcome) => void): () => void {
  const interrupt = Effect.runCallback(effect as Effect.Effect<unknown, unknown>, {
    onExit: (exit) =>
      settle(Exit.isSuccess(exit) ? { ok: true, value: exit.value } : { ok: false, error: Cause.squash(exit.cause) }),
  })
  return () => interrupt()
}

/** A gateway without a control socket serves all the same; it says so. */
const openControlOrWarn = (
  options: GatewayOptions,
  log: Log,
  status: () => Status,
  objects: () => readonly PrintedObject[],
) =>
  Effect.tryPromise({
    try: () => {
      const { config, control, folder } = options
      return openControl({ folder: gatewaySubject(folder, config), path: control, status, objects })
    },
    catch: (error) => error,
  }).pipe(
    Effect.catch((error) => {
      if (options.control !== undefined || !(error instanceof ControlFailed)) {
        const message = error instanceof Error ? error.message : String(error)
        return Effect.fail(new StartFailed(1, [`control socket: ${message}`]))
      }
      log.warn(`no control socket: ${error.message}`)
      return Effect.succeed(undefined)
    }),
  )

function cutAll(path: DataPath): void {
  for (const connection of Array.from(path.live)) connection.abort("shutdown", "gateway")
}

function shutDown(listeners: Listeners, path: DataPath): void {
  listeners.close()
  cutAll(path)
  path.wheel.stop()
}

/** 20 files in a line: with manifests a listener may have a thousand. */
const MOST_NAMED = 20

/** One line per listener that came, went or changed whom it asks. */
function logChanges(log: Log, before: Snapshot | undefined, after: Snapshot, listeners: Listeners): void {
  for (const status of listeners.status()) {
    const { plan } = status
    const old = before?.listeners.get(plan.identity)
    if (old === plan) continue
    const all = [...new Set(plan.policies.map((policy) => `${policy.file} ${policy.version}`))]
    const more = all.length > MOST_NAMED ? ` and ${all.length - MOST_NAMED} more` : ""
    const files = `${all.slice(0, MOST_NAMED).join(", ")}${more}`
    if (status.state === "down")
      log.error(`cannot listen on ${plan.url}: ${status.error}`, { files: plan.files.slice(0, MOST_NAMED) })
    else
      log.info(
        `${plan.url} ${old === undefined ? `is open: ${files} (try: ${howToTry(plan, status.address)})` : `now asks ${files}`}`,
      )
  }
  for (const plan of before?.listeners.values() ?? []) {
    if (!after.listeners.has(plan.identity)) log.info(`${plan.url} is no longer named and closes`)
  }
}
