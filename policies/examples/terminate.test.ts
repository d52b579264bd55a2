import assert from "node:assert/strict"
import { test } from "node:test"
import { deny, route } from "tidegate"
import { connect, PolicyFailed, type CertificateFacts } from "tidegate/testing"
import * as policy from "./terminate.ts"

const present = (clientCertificate: CertificateFacts) =>
  connect(policy, { from: "203.0.113.9", tls: { sni: "db.example.com" }, clientCertificate })

test("a workload reaches its database by its SPIFFE id", async () => {
  const uri = ["https://example.com/", "spiffe://example.com/ns/shop/sa/web"]
  const { decision, log } = await present({ sans: { uri }, fingerprint: "ab12" })
  assert.deepEqual(decision, route("tcp://shop-db.internal:5432"))
  assert.deepEqual(log, { certificate: "ab12" })
})

test("the backup reaches the replica by its common name", async () => {
  const { decision } = await present({ subject: "O=Example,CN=backup-2" })
  assert.deepEqual(decision, route("tcp://replica.internal:5432", { maxDuration: "6 hours" }))
})

test("anybody else is denied, also with a good certificate", async () => {
  const { decision } = await present({ commonName: "amy" })
  assert.deepEqual(decision, deny("a certificate of nobody that we know"))
})

test("a certificate that is not verified, and none, end the handshake", async () => {
  for (const clientCertificate of [{ unverified: "CERT_HAS_EXPIRED" }, undefined]) {
    const facts = { from: "203.0.113.9", tls: { sni: "db.example.com" } }
    await assert.rejects(
      connect(policy, clientCertificate === undefined ? facts : { ...facts, clientCertificate }),
      (error) => error instanceof PolicyFailed && error.closeReason === "tls-handshake-failed",
    )
  }
})
