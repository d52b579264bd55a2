// Limits as configuration: of connections, at one time or in a time, and of bytes.
import { Schema } from "effect"
import { byteRate, complaint, duration, optional, required, whole, word } from "./field.ts"
import { readBandwidth } from "../../policy/limit-options.ts"

/** 10^9: counts stay exact where they are added up. */
const MOST = 1_000_000_000

const network = Schema.Struct({
  ipv4: optional(whole(0, 32), { description: "Prefix length of the IPv4 networks.", default: 32 }),
  ipv6: optional(whole(0, 128), { description: "Prefix length of the IPv6 networks.", default: 64 }),
})
  .check(
    Schema.makeFilter((key: { readonly ipv4?: number; readonly ipv6?: number }) => Object.keys(key).length > 0, {
      expected: "ipv4, ipv6 or both",
    }),
  )
  .annotate({
    identifier: "Network",
    title: "Network",
    description: "Clients of one network count together.",
    expected: "prefix lengths like { ipv4: 24, ipv6: 48 }",
  })

const key = Schema.Union([word(["client", "sni", "all"]), network]).annotate({
  expected: '"client", "sni", "all" or prefix lengths like { ipv4: 24, ipv6: 48 }',
})

const keyDescription =
  "What is counted together: `client`, one address, for IPv6 one /64; a network of these prefix lengths; `sni`, one server name; `all`, everything."

export const rateLimit = Schema.Struct({
  limit: required(whole(1, MOST), { description: "Connections per `per`." }),
  per: required(duration(1), { description: "The time that `limit` is for.", examples: ["1 minute"] }),
  burst: optional(whole(1, MOST), { description: "Connections that may come at once.", otherwise: "`limit`" }),
  key: optional(key, { description: keyDescription, default: "client" }),
}).annotate({
  identifier: "RateLimit",
  title: "Rate limit",
  description: "Connections that come within a time. Further ones are closed at once, as `limit-reached`.",
  expected: 'options like { limit: 20, per: "1 minute" }',
})

export const concurrencyLimit = Schema.Struct({
  max: required(whole(1, MOST), { description: "Connections at one time." }),
  key: optional(key, { description: keyDescription, default: "client" }),
}).annotate({
  identifier: "ConcurrencyLimit",
  title: "Concurrency limit",
  description: "Connections at one time. Further ones are closed at once, as `limit-reached`.",
  expected: "options like { max: 10 }",
})

export const bandwidth = Schema.Struct({
  up: optional(byteRate, { description: "From the client.", otherwise: "no limit", examples: ["1 MiB"] }),
  down: optional(byteRate, { description: "To the client.", otherwise: "no limit", examples: ["10 MiB/s"] }),
  key: optional(key, {
    description: `Connections that share it. ${keyDescription}`,
    otherwise: "each connection has its own",
  }),
})
  .check(Schema.makeFilter((value: object) => complaint(() => readBandwidth("bandwidth", value))))
  .annotate({
    identifier: "Bandwidth",
    title: "Bandwidth",
    description: "Bytes per second; what comes faster waits.",
    expected: 'options like { up: "1 MiB", down: "10 MiB" }',
  })
