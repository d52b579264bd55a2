// One question to one DNS server: a datagram from a port of its own, and TCP where the answer does not fit. An answer
// counts when it comes from the server that was asked, with the identifier and the question that were sent.
import { createSocket, type Socket as Datagrams } from "node:dgram"
import { connect, type Socket } from "node:net"
import { Effect, Semaphore } from "effect"
import { readable } from "../policy/thrown.ts"
import { u16 } from "../protocol/bytes.ts"
import { LookupFailed } from "./dns-failed.ts"
import { makeQuery, readAnswer, type DnsAnswer, type Query, type Question } from "./dns-message.ts"
import type { DnsServer } from "./resolv-conf.ts"

/** 32 questions at one time, one descriptor each: they come out of the 256 that the connection cap leaves free. Others wait. */
const AT_ONCE = Semaphore.makeUnsafe(32)
/** 64 datagrams that answer something else: whoever sends more guesses. */
const MOST_FOREIGN = 64

/** What a server may answer, once it was asked over TCP where that was needed. */
export type ServerAnswer = Exclude<DnsAnswer, { readonly kind: "truncated" | "failed" }>

/** Asks one server. @param timeout milliseconds for a datagram, and the same again for TCP */
export const exchange = (
  server: DnsServer,
  question: Question,
  timeout: number,
): Effect.Effect<ServerAnswer, LookupFailed> => {
  const where = server.port === 53 ? server.address : `${server.address} port ${server.port}`
  const silence = failed(`no answer from ${where} within ${timeout} ms`, false)
  const limited = (asked: Effect.Effect<DnsAnswer, LookupFailed>) =>
    Effect.timeoutOrElse(asked, { duration: timeout, orElse: () => silence })
  const ask = Effect.fnUntraced(function* (withOptions: boolean) {
    const query = makeQuery(question, withOptions)
    const answer = yield* limited(overUdp(server, query))
    return answer.kind === "truncated" ? yield* limited(overTcp(server, query)) : answer
  })
  const asked = Effect.gen(function* () {
    let answer = yield* ask(true)
    if (answer.kind === "failed" && answer.isOld) answer = yield* ask(false)
    if (answer.kind === "truncated") return yield* failed(`an answer from ${where} that is cut off`, true)
    if (answer.kind === "failed") return yield* failed(`${answer.why} from ${where}`, true)
    return answer
  })
  const told = Effect.mapError(asked, ({ message, wasAnswered }) =>
    failed(message.includes(where) ? message : `${message} (${where})`, wasAnswered),
  )
  return Semaphore.withPermit(AT_ONCE, told)
}

function failed(message: string, wasAnswered: boolean): LookupFailed {
  return new LookupFailed({ message, wasAnswered })
}

function failedBy(error: unknown): LookupFailed {
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined
  return failed(code === "ECONNREFUSED" ? "no DNS server there" : (code ?? readable(error).message), false)
}

/** Connected: the kernel keeps datagrams of others away, and tells when nobody listens. Each has a random port. */
function overUdp({ address, family, port }: DnsServer, query: Query): Effect.Effect<DnsAnswer, LookupFailed> {
  const converse = (socket: Datagrams) =>
    Effect.callback<DnsAnswer, LookupFailed>((resume) => {
      let foreign = 0
      socket.on("error", (error) => resume(failedBy(error)))
      socket.on("message", (bytes) => {
        const answer = readAnswer(bytes, query)
        if (answer !== undefined) resume(Effect.succeed(answer))
        else if (++foreign > MOST_FOREIGN) resume(failed("nothing but answers to other questions", false))
      })
      socket.connect(port, address, () => socket.send(query.bytes))
    })
  return Effect.acquireUseRelease(
    Effect.try({ try: () => createSocket(family === "IPv4" ? "udp4" : "udp6"), catch: failedBy }),
    converse,
    (socket) => Effect.sync(() => socket.close()),
  )
}

/** A message behind its length (RFC 1035 section 4.2.2), which has 2 bytes: there are at most 64 KiB to keep. */
function overTcp({ address, port }: DnsServer, query: Query): Effect.Effect<DnsAnswer, LookupFailed> {
  const converse = (socket: Socket) =>
    Effect.callback<DnsAnswer, LookupFailed>((resume) => {
      let read: Uint8Array = new Uint8Array(0)
      socket.on("error", (error) => resume(failedBy(error)))
      socket.on("close", () => resume(failed("the connection was closed before an answer", false)))
      socket.on("data", (chunk: Uint8Array) => {
        read = Buffer.concat([read, chunk])
        const length = u16(read, 0)
        if (read.length < 2 || read.length < 2 + length) return
        const answer = readAnswer(read.subarray(2, 2 + length), query)
        resume(answer === undefined ? failed("an answer to another question", true) : Effect.succeed(answer))
        socket.destroy()
      })
      socket.write(Buffer.concat([Uint8Array.of(query.bytes.length >> 8, query.bytes.length & 255), query.bytes]))
    })
  return Effect.acquireUseRelease(
    Effect.try({ try: () => connect({ host: address, port, noDelay: true }), catch: failedBy }),
    converse,
    (socket) => Effect.sync(() => socket.destroy()),
  )
}
