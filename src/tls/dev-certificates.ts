// Certificates for development: an authority of this machine, kept in a folder, that signs one for whatever name a
// client asks for.
import { createPrivateKey, randomUUID, X509Certificate } from "node:crypto"
import { existsSync, linkSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { formatIp, parseIp } from "../policy/address.ts"
import { isHostName } from "../policy/target.ts"
import { date, IdentityInvalid, normalName, parseIdentity, type Identity } from "./identity.ts"
import type { CertifiedKey } from "./issue.ts"
import { Lru } from "./lru.ts"
import { readPem } from "./read-pem.ts"

/** 10 years: whoever trusts it does so once. */
const AUTHORITY_DAYS = 3650
/** 90 days, as public authorities give; the next one is made when a third is left. */
const DAYS = 90
const RENEW_AFTER = 60 * 24 * 60 * 60 * 1000
/** 1,000 names: clients choose them. */
const MOST_NAMES = 1000

interface Subject {
  readonly names: readonly string[]
  readonly addresses: readonly string[]
}

/** Without a name and an address: what somebody who tries things out connects to. */
const LOCAL: Subject = { names: ["localhost"], addresses: ["127.0.0.1", "::1"] }

interface Made {
  readonly identities: Promise<readonly Identity[]>
  /** Milliseconds since the epoch. */
  readonly renewAt: number
}

export class DevCertificates {
  /** The path of the certificate that clients have to trust. */
  readonly authorityFile: string
  private readonly authority: CertifiedKey
  private readonly made = new Lru<string, Made>(MOST_NAMES)

  private constructor(authorityFile: string, authority: CertifiedKey) {
    this.authorityFile = authorityFile
    this.authority = authority
  }

  /**
   * Takes the authority in `<folder>/dev`, or makes one there; when several processes do so at once, they agree on one.
   * Rejects with IdentityInvalid when it cannot be written, read or trusted.
   */
  static async open(folder: string): Promise<DevCertificates> {
    const { makeAuthority, makeKey } = await import("./issue.ts")
    const own = join(folder, "dev")
    makeFolders(folder, own)
    const key = await once(own, "ca.key", 0o600, makeKey)
    const name = `Tidegate development CA (${hostname()})`
    const cert = await once(own, "ca.crt", 0o644, () => makeAuthority(key, name, AUTHORITY_DAYS))
    checkAuthority(own, { cert, key })
    return new DevCertificates(join(own, "ca.crt"), { cert, key })
  }

  /**
   * A certificate for the name, else for the address, else for `localhost`; none for what is no host name. The same one
   * every time, until it is renewed.
   */
  async choose(name: string | undefined, address: string | undefined): Promise<readonly Identity[]> {
    const subject = subjectOf(name, address)
    if (subject === undefined) return []
    const id = [...subject.names, ...subject.addresses].join()
    const known = this.made.get(id)
    if (known !== undefined && Date.now() < known.renewAt) return known.identities
    const made = { identities: this.make(subject), renewAt: Date.now() + RENEW_AFTER }
    this.made.set(id, made)
    made.identities.catch(() => this.made.delete(id))
    return made.identities
  }

  private async make(subject: Subject): Promise<readonly Identity[]> {
    const { issue } = await import("./issue.ts")
    const { cert, key } = await issue(this.authority, { ...subject, days: DAYS })
    const file = `development certificate of ${subject.names[0] ?? subject.addresses[0]}`
    return Object.freeze([parseIdentity({ file, text: cert }, { file, text: key })])
  }
}

function subjectOf(name: string | undefined, address: string | undefined): Subject | undefined {
  const wanted = normalName(name ?? "")
  const ip = parseIp(wanted === "" ? (address ?? "") : wanted)
  if (ip !== undefined) return { names: [], addresses: [formatIp(ip)] }
  if (wanted === "") return LOCAL
  return isHostName(wanted) ? { names: [wanted], addresses: [] } : undefined
}

function checkAuthority(own: string, { cert, key }: CertifiedKey): void {
  const hint = `after \`rm -r ${own}\` a new authority is made; clients have to trust it anew`
  const fail = (message: string) => new IdentityInvalid("dev/ca.crt", message, { hint })
  let certificate: X509Certificate
  let belongs: boolean
  try {
    certificate = new X509Certificate(cert)
    const secret = createPrivateKey(key)
    belongs = secret.asymmetricKeyType === "ec" && certificate.checkPrivateKey(secret)
  } catch {
    throw fail("cannot be read, or ca.key cannot")
  }
  if (!belongs || !certificate.ca) throw fail("is not the authority of ca.key that Tidegate made")
  if (!(certificate.validToDate > new Date())) throw fail(`expired on ${date(certificate.validToDate)}`)
}

function makeFolders(folder: string, own: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 })
    mkdirSync(own, { recursive: true, mode: 0o700 })
    // Whoever has the key can pretend to be any server to those who trust the authority.
    writeIfAbsent(join(own, ".gitignore"), "*\n", 0o644)
  } catch (error) {
    throw notWritten("dev", error)
  }
}

/** What is in the file, or what `make` gives, if no other process was faster. */
async function once(own: string, name: string, mode: number, make: () => string | Promise<string>): Promise<string> {
  const path = join(own, name)
  const file = `dev/${name}`
  if (!existsSync(path)) {
    const text = await make()
    try {
      writeIfAbsent(path, text, mode)
    } catch (error) {
      throw notWritten(file, error)
    }
  }
  const { text } = readPem(path, file)
  const { mode: found } = statSync(path)
  if ((found & 0o077 & ~mode) === 0) return text
  const message = `others may read it (mode ${(found & 0o7777).toString(8).padStart(4, "0")})`
  throw new IdentityInvalid(file, message, { hint: `chmod 600 ${path}` })
}

/** The file appears with all of its content, or was there before. */
function writeIfAbsent(path: string, text: string, mode: number): void {
  if (existsSync(path)) return
  const draft = `${path}.${randomUUID()}`
  try {
    writeFileSync(draft, text, { mode, flag: "wx", flush: true })
    linkSync(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

function notWritten(file: string, error: unknown): IdentityInvalid {
  const { code } = error as NodeJS.ErrnoException
  const hint = "--dev-certificates keeps its authority in the certificates folder; --certs names another one"
  return new IdentityInvalid(file, `cannot be written: ${code ?? String(error)}`, { hint })
}
