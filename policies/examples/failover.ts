// Reports read from the replica of a PostgreSQL server, and from the primary while the replica is down: targets of a
// higher `priority` are used when none of a lower one can be. Whoever is connected to a server that fails its checks is
// reset, so that it connects again now, and not when its own time-outs are over.
import { deny, route, type Pools } from "tidegate"

export const listen = "tcp://127.0.0.1:9114"

export const pools = {
  reports: {
    targets: [
      { url: "tcp://orders-replica.internal:5432", name: "replica" },
      { url: "tcp://orders-primary.internal:5432", name: "primary", priority: 1 },
    ],
    // Asks as pg_isready does. It needs no password, and no user that exists.
    health: { check: "postgres", interval: "1 second", timeout: "1 second", fall: 2 },
    closeOnUnhealthy: true,
  },
} satisfies Pools

// psql prints the reason.
const reports = route("reports").or(deny("no server for reports is up", { inBand: "postgres" }))

export const on_tcp_connect = () => reports
