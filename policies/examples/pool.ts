// Spreads an application's connections over its servers, and leaves out those that do not answer. A server that fails
// three checks in a row gets no new connections; two good checks bring it back. `tidegate status` shows them.
import { route, type Pools } from "tidegate"

export const listen = "tcp://127.0.0.1:9122"

export const pools = {
  app: {
    // The third is twice as large as the others.
    targets: [
      "tcp://app-1.internal:8080",
      "tcp://app-2.internal:8080",
      { url: "tcp://app-3.internal:8080", weight: 2 },
    ],
    balance: "round-robin",
    health: { check: { http: { path: "/health" } }, interval: "2 seconds" },
    // Who comes back begins with a tenth of its share.
    slowStart: "30 seconds",
  },
} satisfies Pools

export const on_tcp_connect = () => route("app")
