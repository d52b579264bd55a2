// Limits of clients, for micro.ts: 100,000 clients that are known already, another one each time, in another order than
// that in which their records lie.
import { concurrencyLimit } from "../src/limit/concurrency-limit.ts"
import { RateGate } from "../src/limit/gate.ts"
import { rateLimit } from "../src/limit/rate-limit.ts"
import { ipv4, type Ip } from "../src/policy/address.ts"
import { TableBuilder } from "../src/policy/address-table.ts"
import type { Connection } from "../src/policy/connection.ts"
import { ADDRESS, WHEN_CLOSED, type Hooks } from "../src/policy/hooks.ts"
import { random } from "../test/helper/random.ts"

const CLIENTS = 100_000
/** Prime to the number of clients: each has its turn. */
const STRIDE = 7919
/** Tokens never run out. */
const RATE = { limit: 1_000_000_000, per: 1 } as const

const addresses = Array.from({ length: CLIENTS }, (_, i) => ipv4(0x0a000000 + i * 3))
let turn = 0

function nextAddress(): Ip {
  return addresses[(turn = (turn + STRIDE) % CLIENTS)]!
}

/** A connection as limits see it. */
class Asking implements Pick<Hooks, typeof ADDRESS | typeof WHEN_CLOSED> {
  readonly [ADDRESS]: Ip
  private atEnd: (() => void) | undefined = undefined

  constructor(ip: Ip) {
    this[ADDRESS] = ip
  }

  [WHEN_CLOSED](then: () => void): void {
    this.atEnd = then
  }

  close(): void {
    this.atEnd?.()
  }
}

const asking = (ip: Ip) => new Asking(ip) as Asking & Connection

function known(): () => Connection {
  const connections = addresses.map(asking)
  return () => connections[(turn = (turn + STRIDE) % CLIENTS)]!
}

function blocklist() {
  const { below } = random(1)
  const builder = new TableBuilder()
  for (let i = 0; i < 100_000; i++) builder.add(ipv4(below(2 ** 32)), 24 + below(9))
  return builder.table()
}

/** Makes the clients, which takes a while. */
export function limits(): Readonly<Record<string, () => unknown>> {
  const next = known()
  const perClient = rateLimit("per-client", RATE)
  const atOnce = concurrencyLimit("at-once", { max: 10 })
  const gate = new RateGate("the benchmark", { ...RATE, burst: 1_000_000_000, key: { ipv4: 32, ipv6: 64 } })
  const perName = rateLimit("per-name", { ...RATE, key: () => "db-17.customers.example.com" })
  const list = blocklist()
  for (let i = 0; i < CLIENTS; i++) {
    perClient.take(next())
    gate.take(nextAddress(), undefined)
  }
  const same = next()
  return {
    "rateLimit.take, one of 100,000 clients": () => perClient.take(next()),
    "rateLimit.take, the same client again": () => perClient.take(same),
    "rateLimit.take, by a name of 27 characters": () => perName.take(same),
    "rateLimit of a listener, one of 100,000 clients": () => gate.take(nextAddress(), undefined),
    "concurrencyLimit.take of a new connection, and its end": () => {
      const connection = asking(nextAddress())
      const took = atOnce.take(connection)
      connection.close()
      return took
    },
    [LIMIT_AND_LIST]: () => {
      const connection = next()
      return !list.contains(addresses[turn]!) && perClient.take(connection)
    },
  }
}

/** That both together take at most two microseconds is promised. */
export const LIMIT_AND_LIST = "look-up in 100,000 CIDRs, then rateLimit.take, one of 100,000 clients"
