// Facts for tests: a connection that was made up, and what is known of it.
import { simulate, type Facts as ConnectionFacts } from "../../../../src/policy/simulated.ts"
import { Facts, type FactSource } from "../../../../src/config/traffic-policy/cel/index.ts"

export const ENDPOINT = {
  id: "ep_1",
  url: "tcp://db.internal:5432",
  addr: "db.internal:5432",
  host: "db.internal",
  port: 5432,
  protocol: "tcp",
} as const

/** What is known of a client from 203.0.113.7 that comes over TLS and asks for db.example.com. */
export function madeFacts(source: Partial<FactSource> = {}, connection: Partial<ConnectionFacts> = {}): Facts {
  const simulated = simulate({
    from: "203.0.113.7:4711",
    to: "tls://db.example.com:443",
    at: new Date("2026-01-02T03:04:05.678Z"),
    ...connection,
  })
  return new Facts({ connection: simulated.connection, endpoint: ENDPOINT, ...source })
}
