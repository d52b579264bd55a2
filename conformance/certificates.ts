// The certificates of a replay: RSA, from an authority or signed by themselves, as Secrets and ConfigMaps and for echo
// servers. Made once for all tests.
import "reflect-metadata"
import { createPrivateKey, generateKeyPair, X509Certificate, type KeyObject } from "node:crypto"
import { promisify } from "node:util"
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509"
import type { CertificateWish } from "./supplies.ts"

export interface Certificate {
  readonly wish: CertificateWish
  /** PEM texts; `ca` is whom a client has to trust. */
  readonly cert: string
  readonly key: string
  readonly ca: string
  /** SHA-256, as node:tls writes it. */
  readonly fingerprint: string
}

interface Pair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

interface Signer {
  readonly name: string
  readonly key: KeyObject
  readonly cert: string
}

const RSA = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" } as const
/** 2048: the least that TLS takes today. */
const BITS = 2048
const DAY = 24 * 60 * 60 * 1000
const CA_USES = KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign
const USES = KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment

const generate = promisify(generateKeyPair)

/** Makes them all; an authority that signs and that nobody lists is made as well. */
export async function makeCertificates(wishes: readonly CertificateWish[]): Promise<readonly Certificate[]> {
  const signing = new Set(wishes.flatMap(({ authority }) => authority ?? []))
  const listed = wishes.filter(({ isAuthority, name }) => isAuthority || signing.has(name))
  const unlisted = [...signing].filter((name) => !listed.some((wish) => wish.name === name)).map(unlistedAuthority)
  const authorities = await Promise.all([...listed, ...unlisted].map((wish) => make(wish, undefined)))
  const signers = new Map(authorities.map((made) => [made.wish.name, signerOf(made)]))
  const leaves = wishes.filter((wish) => !listed.includes(wish))
  const signed = leaves.map((wish) =>
    make(wish, wish.authority === undefined ? undefined : signers.get(wish.authority)),
  )
  return [...authorities, ...(await Promise.all(signed))]
}

function unlistedAuthority(name: string): CertificateWish {
  const common = { namespaces: [], sans: [], authority: undefined, usedBy: [] }
  return { kind: "configMap", name, isAuthority: true, key: "ca.crt", ...common }
}

function signerOf({ cert, key, wish }: Certificate): Signer {
  return { name: wish.name, key: createPrivateKey(key), cert }
}

async function make(wish: CertificateWish, signer: Signer | undefined): Promise<Certificate> {
  const { privateKey, publicKey } = (await generate("rsa", { modulusLength: BITS })) as Pair
  const now = Date.now()
  const made = await X509CertificateGenerator.create({
    subject: [{ CN: [wish.name.slice(0, 64)] }],
    issuer: [{ CN: [(signer?.name ?? wish.name).slice(0, 64)] }],
    publicKey: Uint8Array.from(publicKey.export({ type: "spki", format: "der" })),
    signingKey: (signer?.key ?? privateKey).toCryptoKey(RSA, false, ["sign"]),
    signingAlgorithm: RSA,
    notBefore: new Date(now - DAY),
    notAfter: new Date(now + DAY),
    extensions: [
      new BasicConstraintsExtension(wish.isAuthority, undefined, true),
      new KeyUsagesExtension(wish.isAuthority ? CA_USES : USES, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      ...(wish.sans.length === 0 ? [] : [new SubjectAlternativeNameExtension(wish.sans.map(alternativeName))]),
    ],
  })
  const cert = `${made.toString("pem")}\n`
  return {
    wish,
    cert,
    key: String(privateKey.export({ type: "pkcs8", format: "pem" })),
    ca: signer?.cert ?? cert,
    fingerprint: new X509Certificate(cert).fingerprint256,
  }
}

function alternativeName(value: string) {
  if (value.includes("://")) return { type: "url", value } as const
  if (value.includes("@")) return { type: "email", value } as const
  return { type: /^[\d.]+$|:/.test(value) ? "ip" : "dns", value } as const
}

/** As objects of a cluster. */
export function certificateObjects(certificates: readonly Certificate[]): unknown[] {
  return certificates.flatMap(({ ca, cert, key, wish }) =>
    wish.namespaces.map((namespace) => {
      const metadata = { name: wish.name, namespace }
      if (wish.kind === "configMap")
        return { apiVersion: "v1", kind: "ConfigMap", metadata, data: { [wish.key]: cert } }
      const data = { "tls.crt": base64(cert), "tls.key": base64(key), "ca.crt": base64(ca) }
      return { apiVersion: "v1", kind: "Secret", type: "kubernetes.io/tls", metadata, data }
    }),
  )
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64")
}

/** Whether a certificate of these names is one for this name: a wildcard stands for one label, and `*` for any name. */
export function covers({ sans }: CertificateWish, name: string): boolean {
  const parent = name.slice(name.indexOf("."))
  return sans.some((san) => san === "*" || san === name || (san.startsWith("*.") && san.slice(1) === parent))
}
