// Ends TLS, demands a client certificate of our own authority, and routes by the SPIFFE id in it, or by its common name.
// The gateway's certificate comes from its store (serve --certs, or --dev-certificates to try it). A client without a
// valid certificate does not get past the handshake.
import { deny, route, type Connection } from "tidegate"

export const listen = "tls://127.0.0.1:9109"

/** Who signs our clients' certificates. */
const ca = `-----BEGIN CERTIFICATE-----
MIIBwzCCAWmgAwIBAgIUJGo3//FUY6ll633HNEShvr6hISYwCgYIKoZIzj0EAwIw
LjEQMA4GA1UECgwHRXhhbXBsZTEaMBgGA1UEAwwRRXhhbXBsZSBjbGllbnQgQ0Ew
IBcNMjYxMTIwMTM0OTQ2WhgPMjEyNjEwMjcxMzQ5NDZaMC4xEDAOBgNVBAoMB0V4
YW1wbGUxGjAYBgNVBAMMEUV4YW1wbGUgY2xpZW50IENBMFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAE10wrTCdZr2fmacP2/6mg0WjgXFLhRa2n26D0+D4VUJauEILs
u3R1xctzofcDVU3W2KT2+1Ltw/EybkJZvF1/mKNjMGEwHQYDVR0OBBYEFF2ajxtD
PGYPNF1NdGRdmQjFV+xtMB8GA1UdIwQYMBaAFF2ajxtDPGYPNF1NdGRdmQjFV+xt
MA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMCA0gA
MEUCIHuzvGkTd7MPiRMGLJ/a/E2QzmzazcDjUial93U69baKAiEA72WBHWpbHycd
sLChbhFJ4pKPUT2HSsd7V3EzV3obMrw=
-----END CERTIFICATE-----`

const workloads = new Map([
  ["spiffe://example.com/ns/shop/sa/web", route("tcp://shop-db.internal:5432")],
  ["spiffe://example.com/ns/wiki/sa/web", route("tcp://wiki-db.internal:5432")],
])

export async function on_tcp_connect(connection: Connection) {
  const { clientCertificate } = await connection.terminate({ clientCertificate: "require-and-verify", ca })
  const { commonName = "", sans } = clientCertificate!
  connection.log({ certificate: clientCertificate!.fingerprint })
  for (const id of sans.uri) {
    const workload = workloads.get(id)
    if (workload !== undefined) return workload
  }
  if (commonName.startsWith("backup-")) return route("tcp://replica.internal:5432", { maxDuration: "6 hours" })
  return deny("a certificate of nobody that we know")
}
