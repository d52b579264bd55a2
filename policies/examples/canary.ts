// Sends 5 of 100 connections to the new version, and the developers always.
// The other target is the fallback: a canary that does not answer costs nobody the connection.
import { route, type Connection } from "tidegate"

export const listen = "tcp://127.0.0.1:9103"

const stable = "tcp://app-v1.internal:8080"
const canary = "tcp://app-v2.internal:8080"

export function on_tcp_connect(connection: Connection) {
  if (connection.client.within("10.20.0.0/16")) return route([canary, stable])
  return route(
    [
      { url: stable, weight: 95 },
      { url: canary, weight: 5 },
    ],
    { connectTimeout: "1 second" },
  )
}
