import { describe, expect, test } from "bun:test"
import { checkTerminate, TerminateInvalid } from "../../src/policy/terminate.ts"

const cert = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
const key = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"
const crl = "-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n"
const pair = { cert, key }

const defaults = {
  certificates: undefined,
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.3",
  alpn: undefined,
  clientCertificate: undefined,
  ca: undefined,
  crl: undefined,
  ciphers: undefined,
}

describe("the options of terminate", () => {
  test.each([
    [undefined, {}],
    [{}, {}],
    [{ minVersion: "1.3" }, { minVersion: "TLSv1.3" }],
    [{ minVersion: 1.2, maxVersion: 1.2 }, { maxVersion: "TLSv1.2" }],
    [{ maxVersion: "TLSv1.2" }, { maxVersion: "TLSv1.2" }],
    [{ alpn: ["h2", "http/1.1"] }, { alpn: ["h2", "http/1.1"] }],
    [{ alpn: [] }, {}],
    [{ certificates: pair }, { certificates: [pair] }],
    [{ certificates: [pair, pair] }, { certificates: [pair, pair] }],
    [{ certificates: { cert, key: key.replaceAll("PRIVATE", "EC PRIVATE") } }, { certificates: [expect.anything()] }],
    [{ clientCertificate: "request" }, { clientCertificate: "request" }],
    [
      { clientCertificate: "require-any", ca: cert },
      { clientCertificate: "require-any", ca: cert },
    ],
    [
      { clientCertificate: "require-and-verify", ca: [cert, cert], crl },
      { clientCertificate: "require-and-verify", ca: `${cert}\n${cert}`, crl },
    ],
    [{ ciphers: "ECDHE-RSA-AES128-GCM-SHA256" }, { ciphers: "ECDHE-RSA-AES128-GCM-SHA256" }],
  ])("%j", (options, expected) => {
    expect(checkTerminate(options)).toEqual({ ...defaults, ...expected } as never)
  })

  test.each([
    [null, "expected options, found null"],
    [[], "expected options, found an empty list"],
    ["TLSv1.3", 'expected options, found "TLSv1.3"'],
    [{ minversion: 1.3 }, 'did you mean "minVersion"?'],
    [{ certs: 5 }, 'there is no option "certs"'],
    [{ minVersion: "1.1" }, 'minVersion: expected "TLSv1.2" or "TLSv1.3", found "1.1"'],
    [{ maxVersion: 1 }, "maxVersion: expected"],
    [{ minVersion: "1.3", maxVersion: "1.2" }, "minVersion TLSv1.3 is above maxVersion TLSv1.2"],
    [{ alpn: "h2" }, 'alpn: expected a list of at most 16 names, found "h2"'],
    [{ alpn: [""] }, "alpn: expected names"],
    [{ alpn: ["h2 "] }, "alpn: expected names"],
    [{ alpn: ["x".repeat(256)] }, "alpn: expected names"],
    [{ alpn: Array.from({ length: 17 }, (_, i) => `p${i}`) }, "at most 16"],
    [{ clientCertificate: true }, 'expected "require-and-verify", "require-any", "request", found true'],
    [{ clientCertificate: "require-and-verfy", ca: cert }, 'did you mean "require-and-verify"?'],
    [{ clientCertificate: "require-and-verify" }, "needs ca"],
    [{ ca: cert }, "ca has no effect without clientCertificate"],
    [{ crl }, "crl has no effect without clientCertificate"],
    [{ clientCertificate: "request", crl }, "crl has no effect without ca"],
    [{ clientCertificate: "request", ca: [] }, "ca is an empty list"],
    [{ clientCertificate: "request", ca: "certs/ca.pem" }, "a policy reads files by an import"],
    [{ clientCertificate: "request", ca: crl }, "-----BEGIN CERTIFICATE-----"],
    [{ clientCertificate: "request", ca: cert, crl: cert }, "X509 CRL"],
    [{ certificates: [] }, "0 certificates; expected 1 to 3"],
    [{ certificates: [pair, pair, pair, pair] }, "4 certificates; expected 1 to 3"],
    [{ certificates: "a.pem" }, "expected { cert, key } with PEM texts"],
    [{ certificates: { cert } }, "key: expected PEM"],
    [{ certificates: { cert: key, key } }, "cert: expected PEM"],
    [{ certificates: { ...pair, passphrase: "x" } }, 'there is no option "passphrase"'],
    [{ ciphers: "" }, "ciphers: expected a text"],
  ])("%j is refused: %s", (options, why) => {
    expect(() => checkTerminate(options)).toThrow(TerminateInvalid)
    expect(() => checkTerminate(options)).toThrow(why)
  })

  test("a key that is in the wrong place is not in the message", () => {
    const secret = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"
    const misplaced = key.replace("MIIB", secret)
    for (const options of [
      { certificates: { cert: misplaced, key } },
      { certificates: { cert, key: secret } },
      { clientCertificate: "request", ca: misplaced },
    ]) {
      expect(() => checkTerminate(options)).toThrow(TerminateInvalid)
      expect(() => checkTerminate(options)).not.toThrow(secret)
    }
  })
})
