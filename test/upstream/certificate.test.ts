import { expect, test } from "bun:test"
import { parseIp } from "../../src/policy/address.ts"
import { parseTarget, type Target } from "../../src/policy/target.ts"
import { expectedName, handshakeProblem, misnamed, requestedName } from "../../src/upstream/certificate.ts"

/** As a target that follows the DNS has it: verified by its name, dialled by an address. */
const followed: Target = {
  ...parseTarget("tls://10.0.0.1:5432"),
  host: "db.internal",
  ip: parseIp("10.0.0.1"),
} as Target

test.each([
  [parseTarget("tls://db-1.internal:5432"), undefined, "db-1.internal", "db-1.internal"],
  [parseTarget("tls://db-1.internal.:5432"), undefined, "db-1.internal", "db-1.internal."],
  [parseTarget("tls://10.0.0.1:5432"), undefined, undefined, "10.0.0.1"],
  [parseTarget("tls://10.0.0.1:5432"), "db-1", "db-1", "db-1"],
  [parseTarget("tls://[2001:db8::1]:5432"), undefined, undefined, "2001:db8::1"],
  [parseTarget("unix:/run/db.sock"), undefined, undefined, "localhost"],
  [followed, undefined, "db.internal", "db.internal"],
])("%j with sni %j asks for %j and expects %j", (target, sni, requested, expected) => {
  const tls = sni === undefined ? undefined : { sni }
  expect(requestedName(target, tls)).toBe(requested!)
  expect(expectedName(target, tls)).toBe(expected)
})

function error(message: string, code: string): Error {
  return Object.assign(new Error(message), { code })
}

function certificate(subjectaltname?: string): Parameters<typeof misnamed>[1] {
  return { subjectaltname } as Parameters<typeof misnamed>[1]
}

test("a certificate for others is told with the names that it has, up to 200 characters of them", () => {
  expect(misnamed("db-1", certificate())).toBe("the certificate is not for db-1: it has no names")
  expect(misnamed("db-1", certificate("DNS:a"))).toBe("the certificate is not for db-1: it has DNS:a")
  expect(misnamed("db-1", certificate(`DNS:${"a".repeat(300)}`))).toEndWith(`it has DNS:${"a".repeat(196)}...`)
})

test("a verdict on the certificate has its code, a failed handshake its reason", () => {
  expect(handshakeProblem(error("certificate has expired", "CERT_HAS_EXPIRED"))).toBe(
    "TLS: CERT_HAS_EXPIRED: certificate has expired",
  )
  expect(
    handshakeProblem(
      error("error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER", "ERR_SSL_WRONG_VERSION_NUMBER"),
    ),
  ).toBe("TLS: the other end does not speak TLS (WRONG_VERSION_NUMBER)")
  expect(handshakeProblem(null)).toBe("TLS: the TLS handshake failed")
})
