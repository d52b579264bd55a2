// Active health checks: one probe of one target, from its name to the verdict. Runs beside connections, on sockets of
// its own, and leaves none behind however it ends.
import { connect, type Socket } from "node:net"
import { Clock, Effect, Semaphore } from "effect"
import { formatIp, type Ip } from "../policy/address.ts"
import type { HealthSpec } from "../policy/pool.ts"
import type { Target } from "../policy/target.ts"
import { readable } from "../policy/thrown.ts"
import type { UpstreamTls } from "../policy/upstream-tls.ts"
import { proxyLine } from "../protocol/proxy-write.ts"
import { NOTHING } from "./check/dialogue.ts"
import { dialogueOf } from "./check/index.ts"
import { failed, failedBy, ProbeFailed } from "./probe-failed.ts"
import {
  connected,
  converse,
  heardElsewhere,
  leave,
  missing,
  requestTls,
  secured,
  startTls,
  type Progress,
} from "./probe-socket.ts"

/** 64 probes at one time, one descriptor each: they come out of the 256 that the connection cap leaves free. Others wait. */
const AT_ONCE = Semaphore.makeUnsafe(64)
/** 8 addresses of a name: each has its share of the time-out. */
const MOST_ADDRESSES = 8
/** 250 ms: when a time-out comes this late this process was held up, and the answer is perhaps there and not read yet. */
const LATE = 250
/** What PostgreSQL's clients offer; servers before version 17 do not ask. */
const POSTGRES_ALPN = ["postgresql"]
const HTTP_ALPN = ["http/1.1"]

export interface ProbeContext {
  /** Addresses of a host: those that connections would dial. Not asked for address literals. */
  readonly resolve: (host: string) => readonly Ip[] | Promise<readonly Ip[]>
  /** How the pool speaks TLS to its targets. */
  readonly tls: UpstreamTls | undefined
  /** Version of the PROXY header that the pool's targets get; a check on another port sends none. */
  readonly proxyProtocol?: 1 | 2 | undefined
  /** The TLS context of these settings, as connections use it: shared, because the system's authorities are a hundred and more. May throw. */
  readonly secureContext: (tls: UpstreamTls | undefined) => object
  /** Why an address must not be dialled, as connections may not. */
  readonly refusal?: (ip: Ip, port: number) => string | undefined
}

/** One probe under way. */
interface Asking {
  readonly target: Target
  readonly tls: UpstreamTls | undefined
  readonly context: ProbeContext
  readonly check: HealthSpec["check"]
  readonly port: number | undefined
  readonly isEncrypted: boolean
  readonly progress: Progress
}

/**
 * Checks a target once. Ends when it is healthy; fails within `spec.timeout` otherwise, which begins when one of the
 * probes that may run at one time is over. The addresses of a name are tried in turn until one takes the connection, as
 * connections do; its answer is the verdict. Interrupted, its socket is closed at once.
 */
export const probe = (target: Target, spec: HealthSpec, context: ProbeContext): Effect.Effect<void, ProbeFailed> => {
  const { check, port, timeout } = spec
  const asked = Effect.suspend(() => {
    const isEncrypted = "tls" in check || (spec.tls ?? (target.kind === "tls" && port === undefined))
    const progress: Progress = { awaits: "connection", read: NOTHING, isAlive: false }
    const asking = { target, tls: context.tls, context, check, port, isEncrypted, progress }
    const began = performance.now()
    return Effect.timeoutOrElse(ask(asking, timeout), {
      duration: timeout,
      orElse() {
        // With the verdict there is only goodbye left to say.
        if (progress.isAlive) return Effect.void
        const message = `${missing(progress)} within ${timeout} ms`
        return new ProbeFailed({ message, isOurs: performance.now() - began > timeout + LATE })
      },
    })
  })
  return Semaphore.withPermit(AT_ONCE, asked)
}

/** PROXY protocol version 2, section 2.2: LOCAL, without addresses. */
const LOCAL_HEADER = Uint8Array.of(...new TextEncoder().encode("\r\n\r\n\0\r\nQUIT\n"), 0x20, 0, 0, 0)

/** Where a socket may lead. */
type Place = { readonly path: string } | { readonly host: string; readonly port: number }

/** The socket was not even connected: another address may do. */
class Unconnected {
  readonly _tag = "Unconnected"
  readonly why: ProbeFailed
  constructor(why: ProbeFailed) {
    this.why = why
  }
}

const ask = Effect.fnUntraced(function* (asking: Asking, timeout: number) {
  const places = yield* placesOf(asking)
  const deadline = (yield* Clock.currentTimeMillis) + timeout
  for (const [i, place] of places.entries()) {
    const untried = places.length - i
    const share = untried === 1 ? undefined : (deadline - (yield* Clock.currentTimeMillis)) / untried
    const unconnected = yield* Effect.catchTag(talk(asking, place, share), "Unconnected", ({ why }) =>
      Effect.succeed(why),
    )
    if (unconnected === undefined) return
    if (untried === 1) return yield* Effect.fail(unconnected)
  }
})

/** @param share milliseconds to be connected in, where there are other addresses */
const talk = (
  asking: Asking,
  place: Place,
  share: number | undefined,
): Effect.Effect<undefined, ProbeFailed | Unconnected> =>
  Effect.acquireUseRelease(
    Effect.try({ try: () => open(place), catch: (error) => new Unconnected(failedBy(error)) }),
    Effect.fnUntraced(function* (socket) {
      asking.progress.awaits = "connection"
      const connecting =
        share === undefined
          ? connected(socket)
          : Effect.timeoutOrElse(connected(socket), {
              duration: share,
              orElse: () => failed("no connection"),
            })
      yield* Effect.mapError(connecting, (why) => new Unconnected(why))
      const { context, port } = asking
      // Nobody asks through us: it is our own connection.
      if (context.proxyProtocol !== undefined && port === undefined)
        socket.write(context.proxyProtocol === 1 ? proxyLine(undefined) : LOCAL_HEADER)
      yield* asking.isEncrypted ? encrypted(asking, socket) : inClear(asking, socket)
      return undefined
    }),
    (socket) => Effect.sync(() => socket.destroy()),
  )

function open(place: Place): Socket {
  const socket = connect({ ...place, noDelay: true })
  socket.on("error", heardElsewhere)
  return socket
}

const encrypted = Effect.fnUntraced(function* (asking: Asking, socket: Socket) {
  const { check, context, progress, target, tls } = asking
  if ("postgres" in check) yield* requestTls(socket, progress)
  const alpn = "http" in check ? HTTP_ALPN : (tls?.alpn ?? ("postgres" in check ? POSTGRES_ALPN : undefined))
  yield* Effect.acquireUseRelease(
    Effect.try({
      try: () => startTls(socket, { target, tls, context: context.secureContext(tls), alpn }),
      catch: (error) => failed(readable(error).message),
    }),
    (secure) => Effect.andThen(secured(secure, progress), inClear(asking, secure)),
    (secure) => Effect.sync(() => secure.destroy()),
  )
})

/** What a check has to say, on whatever it says it. */
const inClear = Effect.fnUntraced(function* ({ check, isEncrypted, port, progress, target }: Asking, socket: Socket) {
  const dialogue = dialogueOf(check, target, port)
  const farewell = dialogue === undefined ? NOTHING : yield* converse(socket, dialogue, progress)
  progress.isAlive = true
  if (dialogue !== undefined || isEncrypted) yield* leave(socket, farewell)
})

/** The addresses to try, in the order in which connections try them. */
const placesOf = Effect.fnUntraced(function* ({ context, port, progress, target }: Asking) {
  if (target.kind === "unix") return [{ path: target.path }]
  progress.awaits = `address of ${target.host}`
  const addresses = target.ip === undefined ? yield* addressesOf(target, context) : [target.ip]
  const at = port ?? target.port
  const places: Place[] = []
  let refusal: string | undefined
  for (const ip of addresses.slice(0, MOST_ADDRESSES)) {
    const refused = context.refusal?.(ip, at)
    if (refused === undefined) places.push({ host: formatIp(ip), port: at })
    else refusal ??= refused
  }
  if (places.length === 0) return yield* failed(refusal ?? `${target.host}: it has no address`)
  return places
})

function addressesOf(
  { addresses, host }: Exclude<Target, { readonly kind: "unix" }>,
  context: ProbeContext,
): Effect.Effect<readonly Ip[], ProbeFailed> {
  if (addresses !== undefined) return Effect.succeed(addresses)
  return Effect.tryPromise({
    try: async () => context.resolve(host),
    catch: (error) => failed(`${host}: ${readable(error).message}`),
  })
}
