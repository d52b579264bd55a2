// The one place where the outcome of a connection becomes what the closing event says.
import { formatIp } from "../policy/address.ts"
import type { CloseReason, Summary } from "../policy/connection.ts"
import type { PresentedCertificate, Terminated } from "../policy/terminate.ts"
import type { ClosedBy, Connection } from "./connection.ts"
import type { Proxied } from "./proxy-in.ts"
import { ipOf } from "./socket-address.ts"

export function summarise(connection: Connection, reason: CloseReason, by: ClosedBy): Summary {
  const { plan, peer, local, client, policy, decision, dial, hello, terminated } = connection
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
      server_name: hello?.sni ?? null,
      start_ts: new Date(connection.openedAt).toISOString(),
      end_ts: new Date(connection.openedAt + Math.round(ended - connection.started)).toISOString(),
      bytes_in: client.received,
      bytes_out: client.written,
    },
    via: connection.proxied === undefined ? null : viaOf(connection.proxied),
    ip_policy: { decision: decision === undefined ? null : decision.action === "deny" ? "block" : "allow" },
    ja4_fingerprint: hello?.ja4 ?? null,
    tls: terminated === undefined ? null : agreed(terminated),
    traffic_policy: { logs: connection.logs?.all() ?? [] },
    listener: { name: plan.name, url: plan.url },
    policy:
      policy === undefined
        ? null
        : {
            file: policy.file,
            rule: policy.title ?? null,
            version: policy.version,
            decision: decision?.action ?? null,
            reason: connection.reason ?? null,
          },
    upstream:
      dial === undefined
        ? null
        : {
            pool: dial.pool?.name ?? null,
            target: dial.target?.url ?? null,
            address: dial.address ?? null,
            attempts: dial.tried,
            error: dial.error ?? null,
          },
    timing: {
      decide_ms: connection.decidedAt === undefined ? null : round(connection.decidedAt - connection.started),
      connect_ms: connection.connectedAt === undefined ? null : round(connection.connectedAt - connection.decidedAt!),
      duration_ms: round(ended - connection.started),
    },
    problem: policy === undefined ? (connection.reason ?? null) : null,
    close: { reason, by },
  }
}

function viaOf({ header, sender }: Proxied): Summary["via"] {
  const ip = ipOf(sender)
  return {
    ip: ip === undefined ? null : formatIp(ip),
    port: sender?.port ?? null,
    proxy_version: header.version,
    command: header.command,
    authority: header.tlvs.authority ?? null,
    unique_id: header.tlvs.uniqueId ?? null,
  }
}

function agreed({ version, cipher, alpn, resumed, clientCertificate }: Terminated): Summary["tls"] {
  return {
    version,
    cipher,
    alpn: alpn ?? null,
    resumed,
    client_certificate: clientCertificate === undefined ? null : shown(clientCertificate),
  }
}

function shown({ subject, fingerprint, verified }: PresentedCertificate) {
  return { subject, fingerprint, verified }
}

/** Microseconds are as fine as this clock is meant. */
function round(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000
}
