// Names to what the DNS has for them, and for how long: what Bun's own look-up does not tell. Names are searched for as
// the system's resolver does, but in the DNS alone: a hosts file is none.
import { Deferred, Effect, Result } from "effect"
import type { Ip } from "../policy/address.ts"
import { exchange, type ServerAnswer } from "./dns-exchange.ts"
import { LookupFailed, NothingFound } from "./dns-failed.ts"
import type { Question, Service } from "./dns-message.ts"
import { followSettings, type DnsOptions } from "./dns-settings.ts"
import { candidates, type ResolverSettings } from "./resolv-conf.ts"

/** The addresses of a name: at least one. */
export interface Addresses {
  /** `undefined` where nobody could say whether there are any. */
  readonly ipv4: readonly Ip[] | undefined
  readonly ipv6: readonly Ip[] | undefined
  /** Why nobody could. */
  readonly problem: string | undefined
  /** Seconds for which all of them hold. */
  readonly ttl: number
}

/** The SRV records of a name. */
export interface Services {
  /** Empty where the DNS says that there is no such service. */
  readonly services: readonly Service[]
  /** Addresses of their hosts, as far as they came along. */
  readonly addresses: ReadonlyMap<string, readonly Ip[]>
  readonly ttl: number
}

export interface Dns {
  /** Both families of a name. A final dot makes it absolute. */
  readonly addresses: (name: string) => Effect.Effect<Addresses, LookupFailed | NothingFound>
  readonly services: (name: string) => Effect.Effect<Services, LookupFailed | NothingFound>
}

/** 500 ms for the other family once one has addresses: a server that is silent about one must not hold up the other. */
const OTHER_FAMILY = 500
/** 4 further questions where a name is another one and the server says no more: only servers that do not look for others do so. */
const MOST_QUESTIONS = 4

/** @throws DnsServerInvalid */
export function makeDns(options: DnsOptions = {}): Dns {
  const settingsNow = followSettings(options)
  /** The server that answered last is asked first. */
  let preferred = 0

  const askServers = Effect.fnUntraced(function* (
    question: Question,
    { attempts, servers, timeout }: ResolverSettings,
  ) {
    let failure: LookupFailed | undefined
    for (let asked = 0; asked < attempts * servers.length; asked++) {
      const at = (preferred + asked) % servers.length
      const outcome = yield* Effect.result(exchange(servers[at]!, question, timeout))
      if (Result.isSuccess(outcome)) {
        preferred = at
        return outcome.success
      }
      // What a server said tells more than the silence of another.
      if (failure === undefined || outcome.failure.wasAnswered || !failure.wasAnswered) failure = outcome.failure
    }
    return yield* failure ?? new LookupFailed({ message: "there is no DNS server to ask", wasAnswered: false })
  })

  /** Until the answer is about the question, and not about another name to ask for. */
  const ask = Effect.fnUntraced(function* (question: Question, settings: ResolverSettings) {
    let ttl = Number.POSITIVE_INFINITY
    let { name } = question
    for (let questions = 0; questions <= MOST_QUESTIONS; questions++) {
      const answer: ServerAnswer = yield* askServers({ ...question, name }, settings)
      ttl = Math.min(ttl, answer.ttl)
      if (answer.kind !== "alias") return { ...answer, ttl }
      name = answer.to
    }
    return yield* new LookupFailed({ message: "its aliases have no end", wasAnswered: true })
  })

  const bothFamilies = Effect.fnUntraced(function* (name: string, settings: ResolverSettings) {
    const found = yield* Deferred.make<void>()
    const family = (type: "A" | "AAAA") => {
      const late = Effect.delay(
        new LookupFailed({ message: `no answer about ${type} records`, wasAnswered: false }),
        OTHER_FAMILY,
      )
      const asked = Effect.tap(ask({ name, type }, settings), ({ kind }) =>
        kind === "addresses" ? Deferred.succeed(found, undefined) : Effect.void,
      )
      return Effect.result(Effect.raceFirst(asked, Effect.andThen(Deferred.await(found), late)))
    }
    const [ipv4, ipv6] = yield* Effect.all([family("A"), family("AAAA")], { concurrency: 2 })
    const answers = [ipv4, ipv6].flatMap((each) => (Result.isSuccess(each) ? [each.success] : []))
    const failure = [ipv4, ipv6].flatMap((each) => (Result.isFailure(each) ? [each.failure] : []))[0]
    const ttls = answers.flatMap(({ kind, ttl }) => (kind === "addresses" ? [ttl] : []))
    if (ttls.length > 0) {
      const addresses = { ipv4: addressesIn(ipv4), ipv6: addressesIn(ipv6) }
      return { ...addresses, problem: failure?.message, ttl: Math.min(...ttls) }
    }
    if (failure !== undefined) return yield* failure
    const why = answers.map((each) => (each.kind === "nothing" ? each.why : "")).join(" and ")
    return yield* new NothingFound({
      message: why.startsWith("NXDOMAIN") ? why.split(" and ")[0]! : why,
      ttl: Math.min(...answers.map(({ ttl }) => ttl)),
    })
  })

  const services = Effect.fnUntraced(function* (name: string, settings: ResolverSettings) {
    const answer = yield* ask({ name, type: "SRV" }, settings)
    if (answer.kind === "nothing") return yield* new NothingFound({ message: answer.why, ttl: answer.ttl })
    if (answer.kind !== "services") return yield* new LookupFailed({ message: "no SRV records", wasAnswered: true })
    return { ...answer, services: answer.services.filter(({ host }) => host !== "") }
  })

  /** As the system's resolver: the first of the names that has something; after a silence no other is asked for. */
  const search = Effect.fnUntraced(function* <Found>(
    name: string,
    lookUp: (candidate: string, settings: ResolverSettings) => Effect.Effect<Found, LookupFailed | NothingFound>,
  ) {
    const settings = yield* settingsNow
    let failure: LookupFailed | undefined
    let nothing: NothingFound | undefined
    for (const candidate of candidates(name, settings)) {
      const outcome = yield* Effect.result(lookUp(candidate, settings))
      if (Result.isSuccess(outcome)) return outcome.success
      const why = outcome.failure
      if (why._tag === "NothingFound") nothing = nothing !== undefined && nothing.ttl < why.ttl ? nothing : why
      else {
        failure ??= why
        if (!why.wasAnswered) break
      }
    }
    if (failure !== undefined) {
      const { message, wasAnswered } = failure
      return yield* new LookupFailed({ message: `${name}: ${message}`, wasAnswered })
    }
    return yield* new NothingFound({ message: `${name}: ${nothing?.message ?? "no name"}`, ttl: nothing?.ttl ?? 0 })
  })

  return {
    addresses: (name) => search(name, bothFamilies),
    services: (name) => search(name, services),
  }
}

/** `undefined` where nobody could say. */
function addressesIn(answer: Result.Result<ServerAnswer, LookupFailed>): readonly Ip[] | undefined {
  if (Result.isFailure(answer)) return undefined
  return answer.success.kind === "addresses" ? answer.success.addresses : []
}
