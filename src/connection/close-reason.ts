// The one place where the outcome of a connection becomes what the closing event says.
import { formatIp } from "../policy/address.ts"
import type { CloseReason, Summary } from "../policy/connection.ts"
import type { ClosedBy, Connection } from "./connection.ts"
import { ipOf } from "./view.ts"

export function summarise(connection: Connection, reason: CloseReason, by: ClosedBy): Summary {
  const { plan, peer, local, client, policy, decision, dial } = connection
  const ended = performance.now()
  const peerIp = ipOf(peer)
  const localIp = ipOf(local)
  return {
    conn: {
      id: connection.id,
      client_ip: peerIp === undefined ? null : formatIp(peerIp),
      client_port: peer?.port ?? null,
      server_ip: localIp === undefined ? null : formatIp(localIp),
      server_port: local?.port ?? null,
      server_name: null,
      start_ts: new Date(connection.openedAt).toISOString(),
      end_ts: new Date(connection.openedAt + Math.round(ended - connection.started)).toISOString(),
      bytes_in: client.received,
      bytes_out: client.written,
    },
    ip_policy: { decision: decision === undefined ? null : decision.action === "deny" ? "block" : "allow" },
    ja4_fingerprint: null,
    traffic_policy: { logs: connection.logs?.all() ?? [] },
    listener: { name: plan.name, url: plan.url },
    policy:
      policy === undefined
        ? null
        : {
            file: policy.file,
            version: policy.version,
            decision: decision?.action ?? null,
            reason: connection.reason ?? null,
          },
    upstream:
      dial?.target === undefined
        ? null
        : {
            target: dial.target.url,
            address: dial.address ?? null,
            attempts: dial.tried,
            error: dial.error ?? null,
          },
    timing: {
      decide_ms: connection.decidedAt === undefined ? null : round(connection.decidedAt - connection.started),
      connect_ms: connection.connectedAt === undefined ? null : round(connection.connectedAt - connection.decidedAt!),
      duration_ms: round(ended - connection.started),
    },
    close: { reason, by },
  }
}

/** Microseconds are as fine as this clock is meant. */
function round(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000
}
