// `tidegate serve`: starts the gateway, says what is open, follows signals, drains.
import { Effect, Exit, Cause, Queue } from "effect"
import { gatewaySubject } from "../admin/control-path.ts"
import { connectionCap } from "../connection/data-path.ts"
import { descriptorLimit } from "../native/descriptor-limit.ts"
import { gateway, StartFailed, type Gateway } from "../gateway.ts"
import { howToTry } from "../how-to-try.ts"
import { Events } from "../observe/events.ts"
import { captureConsole, Log } from "../observe/log.ts"
import type { ServeOptions } from "./serve-flags.ts"

const POLICY_DEADLINE = 5000
const DEFAULT_CERTS = "certs"
/** How long the last lines may take to be read. */
const FLUSH = 2000

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const
type Signal = keyof typeof SIGNALS

/** Runs until a signal ends it. Succeeds with the exit code: 0 drained, 1 cannot serve, 2 bad policies or usage. */
export const serve = (options: ServeOptions): Effect.Effect<number> => {
  const descriptors = descriptorLimit()
  const cap = connectionCap(descriptors)
  if (options.maxConnections !== undefined && options.maxConnections > cap) {
    return complain(
      2,
      `--max-connections ${options.maxConnections} is more than the limit of descriptors allows: at most ${cap}, because each connection takes two and some are kept; raise the limit (ulimit -n, LimitNOFILE=) or lower the number`,
    )
  }
  const format = options.log === "none" ? "pretty" : options.log
  return Effect.scoped(
    Effect.gen(function* () {
      const log = yield* Effect.acquireRelease(
        Effect.sync(() => new Log({ format })),
        (log) =>
          Effect.andThen(
            Effect.promise(() => log.flush(FLUSH)),
            Effect.sync(() => log.close()),
          ),
      )
      const events = yield* Effect.acquireRelease(
        Effect.sync(() => new Events({ format: options.log })),
        (events) =>
          Effect.andThen(
            Effect.promise(() => events.flush(FLUSH)),
            Effect.sync(() => events.close()),
          ),
      )
      yield* Effect.acquireRelease(
        Effect.sync(() => captureConsole(log)),
        (captured) => Effect.sync(() => captured[Symbol.dispose]()),
      )
      const signals = yield* listenForSignals
      const settings = {
        maxConnections: options.maxConnections ?? cap,
        descriptors,
        policyDeadline: options.policyDeadline ?? POLICY_DEADLINE,
        allowLinkLocal: options.allowLinkLocal,
        allowOwnListeners: options.allowOwnListeners,
        worker: "00",
      }
      const certificates = {
        folder: options.certs ?? DEFAULT_CERTS,
        required: options.certs !== undefined,
        dev: options.devCertificates,
      }
      const started = yield* Effect.raceFirst(
        Effect.exit(
          gateway(
            {
              folder: options.folder,
              config: options.config,
              control: options.control,
              settings,
              format,
              certificates,
              geoip: options.geoip,
              lookups: { ipCategories: options.ipCategories, secrets: options.secrets },
              dns: options.dns,
            },
            log,
            events,
          ),
        ),
        Effect.map(Queue.take(signals), () => undefined),
      )
      if (started === undefined) {
        log.info("ended by a signal before it was ready")
        return 0
      }
      if (Exit.isFailure(started)) {
        const error = Cause.squash(started.cause)
        if (!(error instanceof StartFailed)) return yield* Effect.failCause(started.cause)
        for (const message of error.messages) log.error(message)
        return error.exitCode
      }
      return yield* run(started.value, signals, options, log)
    }),
  ).pipe(Effect.orDie)
}

/** Serves until the first SIGINT or SIGTERM, then shuts down; a second one ends at once. */
const run = (running: Gateway, signals: Queue.Dequeue<Signal>, options: ServeOptions, log: Log) =>
  Effect.gen(function* () {
    for (const { plan, address } of running.listeners.status()) {
      log.info(`${plan.url} is open: ${plan.files.join(", ")} (try: ${howToTry(plan, address)})`)
    }
    log.info(
      `ready${running.controlPath === undefined ? "" : `; ask with: tidegate status ${statusArguments(options)}`}`,
    )
    const reload = () => void running.reload(true)
    process.on("SIGHUP", reload)
    yield* Effect.addFinalizer(() => Effect.sync(() => process.off("SIGHUP", reload)))
    const first = yield* Queue.take(signals)
    const shutdown = Effect.gen(function* () {
      running.unready()
      if (options.shutdownDelay > 0) {
        log.info(`${first}: not ready, still accepting for ${options.shutdownDelay} ms`)
        yield* Effect.sleep(options.shutdownDelay)
      }
      log.info(`${first}: draining ${running.path.live.size} connections for up to ${options.drain} ms`)
      const { ended, cut } = yield* running.drain(options.drain)
      log.info(`drained: ${ended} connections ended, ${cut} cut`)
      return 0
    })
    const atOnce = Effect.map(Queue.take(signals), (second) => {
      log.warn(`${second} again: ending at once, ${running.path.live.size} connections cut`)
      return SIGNALS[second]
    })
    return yield* Effect.raceFirst(shutdown, atOnce)
  }).pipe(Effect.ensuring(Effect.sync(() => running.unready())))

function statusArguments({ config, folder }: ServeOptions): string {
  const subject = gatewaySubject(folder, config)
  return subject === folder ? folder : `--config ${subject}`
}

/** Signals as a queue; SIGHUP is heard from the start too, where its default would end the process. */
const listenForSignals = Effect.gen(function* () {
  const signals = yield* Queue.unbounded<Signal>()
  const heard = (signal: Signal) => () => void Queue.offerUnsafe(signals, signal)
  const handlers: Record<string, () => void> = {
    SIGINT: heard("SIGINT"),
    SIGTERM: heard("SIGTERM"),
    // Until there is something to reload it only must not end the process.
    SIGHUP: () => undefined,
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      for (const [signal, handler] of Object.entries(handlers)) process.on(signal, handler)
    }),
    () =>
      Effect.sync(() => {
        for (const [signal, handler] of Object.entries(handlers)) process.off(signal, handler)
      }),
  )
  return signals
})

const complain = (code: number, message: string) =>
  Effect.sync(() => {
    process.stderr.write(`tidegate: ${message}\n`)
    return code
  })
