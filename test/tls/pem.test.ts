// Blocks of PEM among whatever else is in the text.
import { expect, test } from "bun:test"
import { PemInvalid, pemBlocks } from "../../src/tls/pem.ts"
import { random } from "../helper/random.ts"

const block = (label: string, body = "AAEC") => `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`

test("blocks are read with line breaks of every kind, and whatever stands around them", () => {
  const text = `\uFEFFBag Attributes\n----- not a block -----\r\n${block("CERTIFICATE").replaceAll("\n", "\r\n")}
    subject=CN=x\n${block("PRIVATE KEY", "AA\n  EC\n")}trailing`
  const read = pemBlocks(text).map(({ label, der, encrypted }) => [label, der.toString("hex"), encrypted])
  expect(read).toEqual([
    ["CERTIFICATE", "000102", false],
    ["PRIVATE KEY", "000102", false],
  ])
})

test("headers of old encrypted keys are told from their content", () => {
  const [key] = pemBlocks(block("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,2B64\n\nAAEC"))
  expect(key).toEqual({ label: "RSA PRIVATE KEY", der: Buffer.from([0, 1, 2]), encrypted: true })
})

test.each([
  ["-----BEGIN CERTIFICATE-----\nAAEC\n", 'a "BEGIN CERTIFICATE" without its "END CERTIFICATE"'],
  [`-----BEGIN CERTIFICATE-----\nAAEC\n${block("PRIVATE KEY")}`, 'a "BEGIN CERTIFICATE" without'],
  ["-----BEGIN A-----\nAAEC\n-----END B-----\n", 'a "BEGIN A" without its "END A"'],
  [block("CERTIFICATE", "AA*C"), 'what is in "BEGIN CERTIFICATE" is not base64'],
  [block("CERTIFICATE", ""), 'what is in "BEGIN CERTIFICATE" is not base64'],
  ["-----BEGIN certificate-----", "a line starts with"],
])("%j is refused", (text, message) => {
  expect(() => pemBlocks(text)).toThrow(new RegExp(message))
})

test("arbitrary text gives blocks or the one error", () => {
  const { text } = random(7)
  const pieces = [
    "-----BEGIN ",
    "-----END ",
    "A",
    "-----",
    "\n",
    "\r\n",
    "CERTIFICATE",
    "PRIVATE KEY",
    "AAEC",
    "=",
    " ",
  ]
  let blocks = 0
  for (let round = 0; round < 20_000; round++) {
    const input =
      round % 4 === 0 ? block("A", text(["A", "=", "\n", "Proc-Type:", "DEK: x", "E"], 8)) : text(pieces, 14)
    try {
      blocks += pemBlocks(input).length
    } catch (error) {
      expect(error).toBeInstanceOf(PemInvalid)
    }
  }
  expect(blocks).toBeGreaterThan(100)
})

test("a megabyte of beginnings, dashes or blanks is refused at once", () => {
  for (const piece of ["-----BEGIN A-----\n", "-----BEGIN A----", "-----", " ", "A:\n", "-----BEGIN A-----\nA:\n"]) {
    const text = piece.repeat(1_000_000 / piece.length)
    try {
      expect(pemBlocks(`${text}\n-----END B-----`)).toEqual([])
    } catch (error) {
      expect(error).toBeInstanceOf(PemInvalid)
    }
    for (const inside of [text, text.replaceAll("-----", "-")]) {
      expect(() => pemBlocks(block("A", inside))).toThrow(PemInvalid)
    }
  }
})
