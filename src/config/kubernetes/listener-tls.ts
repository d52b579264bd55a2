// How a listener ends TLS: certificates by the name that a client asks for, versions, ciphers, protocols, and what is
// demanded of clients.
import { createHash } from "node:crypto"
import { createSecureContext } from "node:tls"
import { didYouMean } from "../../policy/suggest.ts"
import {
  checkTerminate,
  TerminateInvalid,
  type CertificatePair,
  type TerminateOptions,
} from "../../policy/terminate.ts"
import { CertificateIndex } from "../../tls/certificate-index.ts"
import type { Identity } from "../../tls/identity.ts"
import type { TidegatePolicySpec } from "./tidegate-policy.ts"

/** What is before the slash of our own keys in `tls.options`. */
const DOMAIN = "tidegate.dev/"
const KEYS = ["min-version", "max-version", "ciphers", "alpn", "certificates"] as const

type TlsSettings = NonNullable<TidegatePolicySpec["tls"]>

export interface TlsOptions {
  readonly settings: TlsSettings
  /** What is wrong with an option of ours. */
  readonly problem: string | undefined
  /** Keys of other domains. */
  readonly foreign: readonly string[]
}

/** `tls.options`: ours are read, those of others are for others. */
export function readTlsOptions(options: Readonly<Record<string, string>> = {}): TlsOptions {
  const settings: { -readonly [Name in keyof TlsSettings]: TlsSettings[Name] } = {}
  const foreign: string[] = []
  const problems: string[] = []
  for (const [key, value] of Object.entries(options)) {
    if (!key.startsWith(DOMAIN)) {
      foreign.push(key)
      continue
    }
    const name = key.slice(DOMAIN.length)
    if (name === "ciphers") settings.ciphers = value
    else if (name === "alpn") settings.alpn = value.split(",").map((protocol) => protocol.trim())
    else if (name === "certificates") {
      // What counts without certificateRefs anyway, for whoever wants to say so: Terminate needs one of the two.
      if (value !== "store") problems.push(`${key}: expected "store", found ${JSON.stringify(value)}`)
    } else if (name === "min-version" || name === "max-version") {
      const version = versionOf(value)
      if (version === undefined) problems.push(`${key}: expected "1.2" or "1.3", found ${JSON.stringify(value)}`)
      else settings[name === "min-version" ? "minVersion" : "maxVersion"] = version
    } else
      problems.push(
        `there is no ${key}${didYouMean(name, KEYS) || `; known are ${KEYS.map((known) => DOMAIN + known).join(", ")}`}`,
      )
  }
  return { settings, problem: problems.length === 0 ? undefined : `tls.options: ${problems.join("; ")}`, foreign }
}

function versionOf(value: string): "1.2" | "1.3" | undefined {
  const version = /^(?:TLSv?)?(1\.[23])$/i.exec(value)?.[1]
  return version === "1.2" || version === "1.3" ? version : undefined
}

/** What is demanded of clients. */
export interface ClientValidation {
  readonly mode: "require-and-verify" | "request"
  /** PEM. */
  readonly ca: string
}

export interface Ending {
  readonly terminate: (sni: string | undefined) => TerminateOptions
  /** Equal for equal endings, and no secret. */
  readonly key: string
}

/**
 * @param identities in the order of the references; none: those of the certificate store
 * @returns a text says what is wrong with the settings
 */
export function endingOf(
  identities: readonly Identity[],
  { alpn, ciphers, maxVersion, minVersion }: TlsSettings,
  clients: ClientValidation | undefined,
): Ending | string {
  const shared: TerminateOptions = {
    ...(minVersion === undefined ? {} : { minVersion }),
    ...(maxVersion === undefined ? {} : { maxVersion }),
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(alpn === undefined ? {} : { alpn }),
    ...(clients === undefined ? {} : { clientCertificate: clients.mode, ca: clients.ca }),
  }
  const problem = wrong(shared)
  if (problem !== undefined) return problem
  const ids = identities.map(({ id }) => id)
  const key = createHash("sha256")
    .update(JSON.stringify([ids, shared]))
    .digest("hex")
  return { terminate: byName(identities, shared), key }
}

function byName(
  identities: readonly Identity[],
  shared: TerminateOptions,
): (sni: string | undefined) => TerminateOptions {
  const [first, ...more] = identities
  if (first === undefined) return () => shared
  if (more.length === 0) {
    const only = { ...shared, certificates: pairOf(first) }
    return () => only
  }
  // A client that asks for a name that no certificate has gets the first one, with its like of other algorithms.
  const names = first.names.join()
  const index = new CertificateIndex(identities, (identity) => identity.names.join() === names)
  const made = new WeakMap<readonly Identity[], TerminateOptions>()
  return (sni) => {
    const named = sni === undefined ? [] : index.choose(sni, undefined)
    const chosen = named.length > 0 ? named : index.choose(undefined, undefined)
    let options = made.get(chosen)
    if (options === undefined) made.set(chosen, (options = { ...shared, certificates: chosen.map(pairOf) }))
    return options
  }
}

function pairOf({ cert, key }: Identity): CertificatePair {
  return { cert, key }
}

function wrong(options: TerminateOptions): string | undefined {
  try {
    checkTerminate(options)
  } catch (error) {
    if (error instanceof TerminateInvalid) return error.message.replace(/^terminate: /, "")
    throw error
  }
  const { ciphers } = options
  return ciphers === undefined || areCiphers(ciphers)
    ? undefined
    : `ciphers: none is known of ${JSON.stringify(ciphers)}`
}

/** 1,000: one list is written for many listeners. */
const MOST_LISTS = 1000
const lists = new Map<string, boolean>()

function areCiphers(ciphers: string): boolean {
  const known = lists.get(ciphers)
  if (known !== undefined) return known
  if (lists.size >= MOST_LISTS) lists.clear()
  let good = true
  try {
    createSecureContext({ ciphers })
  } catch {
    // OpenSSL says no more than that.
    good = false
  }
  lists.set(ciphers, good)
  return good
}
