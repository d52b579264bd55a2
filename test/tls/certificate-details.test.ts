// What is seldom asked of a certificate, from DER that may be damaged.
import { X509Certificate } from "node:crypto"
import { expect, test } from "bun:test"
import { certificateDetails, extensionsIn } from "../../src/tls/certificate-details.ts"
import { authority } from "../helper/certificates.ts"

const { cert } = authority().issue({ names: ["a.test"] })
const der = new Uint8Array(new X509Certificate(cert).raw)

test("names who signs how, and every extension as it stands", () => {
  const details = certificateDetails(cert)
  expect(details?.signatureAlgorithm).toBe("ECDSA-SHA256")
  expect(new X509Certificate(details!.pem).raw).toEqual(Buffer.from(der))
  const names = details!.extensions.find(({ id }) => id === "2.5.29.17")
  expect(names).toMatchObject({ critical: false })
  expect(Buffer.from(names!.value).toString("latin1")).toEndWith("a.test")
  expect(certificateDetails(der)?.extensions).toEqual(details!.extensions)
})

test("critical extensions and long numbers", () => {
  // SEQUENCE { SEQUENCE { [3] { SEQUENCE { SEQUENCE { OID 2.999.3, TRUE, OCTET STRING 05 00 } } } } }
  const extension = [0x30, 0x0c, 0x06, 0x03, 0x88, 0x37, 0x03, 0x01, 0x01, 0xff, 0x04, 0x02, 0x05, 0x00]
  const wrapped = [0x30, 0x14, 0x30, 0x12, 0xa3, 0x10, 0x30, extension.length, ...extension]
  expect(extensionsIn(Uint8Array.from(wrapped))).toEqual([
    { id: "2.999.3", critical: true, value: Uint8Array.of(5, 0) },
  ])
})

test("what is no certificate has no details", () => {
  expect(certificateDetails("nonsense")).toBeUndefined()
  expect(extensionsIn(new Uint8Array())).toEqual([])
  expect(extensionsIn(Uint8Array.of(0x30, 0x84, 0xff, 0xff, 0xff, 0xff))).toEqual([])
})

test("damage never throws, nor reaches beyond the end", () => {
  for (let at = 0; at < der.length; at++) {
    expect(extensionsIn(der.subarray(0, at))).toEqual([])
    for (const byte of [0x00, 0x80, 0x83, 0xff]) {
      const damaged = der.slice()
      damaged[at] = byte
      expect(extensionsIn(damaged).length).toBeLessThanOrEqual(100)
    }
  }
})
