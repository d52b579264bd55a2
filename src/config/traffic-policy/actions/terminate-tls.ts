// `terminate-tls`: TLS ends here; what comes after sees the plain text. Without a certificate of its own it presents that
// of the certificate store for the name that the client asks for, as ngrok does that of the reserved domain.
import { IdentityInvalid, readIdentity } from "../../../tls/identity.ts"
import { describe } from "../../../policy/describe.ts"
import type { TerminateOptions } from "../../../policy/terminate.ts"
import type { ActionKind, ReadAction, Where } from "../action.ts"
import { plain, textOf, type Template } from "../cel/index.ts"
import type { Fields, Templates } from "../fields.ts"
import { serverCertificateOf } from "../server-certificate.ts"
import { TrafficPolicyFailed, type Run } from "../run.ts"
import { tlsResult } from "../tls-result.ts"
import { authorityFault } from "./authority-fault.ts"

/** 64 KiB for a key or a chain; ngrok takes 256 KB of certificate in a handshake. */
const LONGEST_PEM = 256 * 1024
/** 100 authorities. */
const MOST_AUTHORITIES = 100
const VERSIONS = ["1.2", "1.3"] as const
const STRATEGIES = ["require-and-verify", "require-any", "request"] as const
type Strategy = (typeof STRATEGIES)[number]

/** Options that every connection has. */
interface Fixed {
  readonly minVersion: "1.2" | "1.3"
  readonly maxVersion: "1.2" | "1.3"
  readonly clientCertificate: Strategy | undefined
}

interface Texts {
  readonly key: Template | undefined
  readonly certificate: Template | undefined
  readonly authorities: Templates
}

export const terminateTls: ActionKind = {
  type: "terminate-tls",
  read(fields, where) {
    refuseNested(fields)
    sayOfTcp(fields, where)
    const errors = fields.complaints.errorCount
    const minVersion = fields.word("min_version", VERSIONS) ?? "1.2"
    const maxVersion = fields.word("max_version", VERSIONS) ?? "1.3"
    if (minVersion > maxVersion)
      fields.error("min_version", `${minVersion} is above max_version ${maxVersion}`, { code: 2204 })
    const pem = (name: string) =>
      fields.has(name) ? fields.template(name, { most: LONGEST_PEM, what: "a text with PEM" }) : undefined
    const key = pem("server_private_key")
    const certificate = pem("server_certificate")
    needBoth(fields)
    const authorities = authoritiesOf(fields)
    const given = fields.word("mutual_tls_verification_strategy", STRATEGIES)
    if (given === "require-and-verify" && !fields.has("mutual_tls_certificate_authorities"))
      fields.error("mutual_tls_verification_strategy", "require-and-verify needs mutual_tls_certificate_authorities", {
        code: 2240,
      })
    checkPair(fields, key, certificate)
    if (fields.complaints.errorCount > errors || authorities === undefined) return undefined
    const clientCertificate = given ?? (authorities.length > 0 ? "require-and-verify" : undefined)
    return actionOf(fields, { minVersion, maxVersion, clientCertificate }, { key, certificate, authorities })
  },
}

function actionOf(fields: Fields, fixed: Fixed, texts: Texts): ReadAction {
  const { authorities, certificate, key } = texts
  const programs = [key, certificate, ...authorities.map(({ template }) => template)].filter((one) => one !== undefined)
  const place = fields.complaints.shownPlace(fields.path)
  return {
    type: "terminate-tls",
    decides: "never",
    programs,
    terminates: true,
    compile(making) {
      const isRead = making.isRead("terminate_tls")
      const isStatic = programs.every((template) => template.isStatic)
      let known: TerminateOptions | undefined
      return async (run) => {
        const options = known ?? optionsFor(run, fixed, texts, place)
        if (isStatic) known = options
        const { connection } = run.visit
        const terminated = await connection.terminate(options)
        run.facts.terminated = terminated
        run.serverCertificate = serverCertificateOf(options)
        if (isRead) run.facts.results.set("terminate_tls", tlsResult(run.facts))
        return undefined
      }
    },
  }
}

/** @throws TrafficPolicyFailed */
function optionsFor(run: Run, fixed: Fixed, { authorities, certificate, key }: Texts, place: string): TerminateOptions {
  const { clientCertificate, maxVersion, minVersion } = fixed
  const ca = authorities.flatMap(({ template }) => textsOf(plain(run.value(template, place))))
  for (const text of ca) {
    const fault = authorityFault(text)
    if (fault !== undefined)
      throw new TrafficPolicyFailed(place, `terminate-tls: ${fault.message}`, `ERR_NGROK_${fault.code}`)
  }
  return {
    minVersion,
    maxVersion,
    ...(key === undefined || certificate === undefined
      ? {}
      : { certificates: { cert: textOf(run.value(certificate, place)), key: textOf(run.value(key, place)) } }),
    ...(clientCertificate === undefined ? {} : { clientCertificate }),
    ...(ca.length === 0 ? {} : { ca }),
  }
}

function textsOf(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).map(String)
}

/** As samples of ngrok's Go library have it. */
function refuseNested(fields: Fields): void {
  fields.refuse("mutual_tls", "there is no mutual_tls in terminate-tls", {
    hint: "write mutual_tls_certificate_authorities: [...] and mutual_tls_verification_strategy: ... directly under config",
  })
  for (const name of ["certificate_authorities", "mutual_tls_cas", "mutual_tls_certificate_authority"])
    fields.refuse(name, `terminate-tls has no field ${JSON.stringify(name)}`, {
      hint: "did you mean mutual_tls_certificate_authorities?",
    })
  for (const [name, meant] of [
    ["certificate", "server_certificate"],
    ["private_key", "server_private_key"],
    ["crt", "server_certificate"],
    ["key", "server_private_key"],
  ] as const)
    fields.refuse(name, `terminate-tls has no field ${JSON.stringify(name)}`, { hint: `did you mean ${meant}?` })
}

/** ngrok's pages contradict each other about it. */
function sayOfTcp(fields: Fields, { situation }: Where): void {
  if (situation.protocol !== "tcp") return
  fields.complaints.warn(fields.path, "on a tcp:// endpoint every client has to begin with TLS then", {
    code: 2205,
    hint: "write a tls:// URL where clients say which name they ask for",
  })
}

function needBoth(fields: Fields): void {
  for (const [name, other] of [
    ["server_private_key", "server_certificate"],
    ["server_certificate", "server_private_key"],
  ] as const)
    if (fields.has(name) && !fields.has(other))
      fields.error(name, `${other} is required when ${name} is specified`, { code: 2240 })
}

/** Pairs that stand in the file are read once, so that no client has to find out. What is in them is never shown. */
function checkPair(fields: Fields, key: Template | undefined, certificate: Template | undefined): void {
  if (key?.isStatic === true && !key.text.includes("PRIVATE KEY-----"))
    return void fields.error("server_private_key", 'expected PEM ("-----BEGIN PRIVATE KEY-----"), found another text', {
      code: key.text.includes("-----BEGIN CERTIFICATE-----") ? 1924 : 1901,
    })
  if (certificate?.isStatic === true && !certificate.text.includes("-----BEGIN CERTIFICATE-----"))
    return void fields.error("server_certificate", 'expected PEM ("-----BEGIN CERTIFICATE-----"), found another text', {
      code: certificate.text.includes("PRIVATE KEY-----") ? 1925 : 1922,
    })
  if (key?.isStatic !== true || certificate?.isStatic !== true) return
  try {
    readIdentity({ file: "server_certificate", text: certificate.text }, { file: "server_private_key", text: key.text })
  } catch (error) {
    if (!(error instanceof IdentityInvalid)) throw error
    const { file, hint, message } = error
    const code = /does not belong/.test(message) ? 1923 : file === "server_private_key" ? 1903 : 1900
    fields.error(file, message, { code, hint })
  }
}

/** PEM of authorities; `undefined` where one is wrong. */
function authoritiesOf(fields: Fields): Templates | undefined {
  const name = "mutual_tls_certificate_authorities"
  const value = fields.get(name)
  if (value === undefined) return []
  if (typeof value === "string" && !value.trimStart().startsWith("${"))
    return fields.error(name, "expected a list of PEM texts, found a text", {
      code: 2222,
      hint: `write a list: ${name}: ["-----BEGIN CERTIFICATE-----..."], or "- |" before the text`,
    })
  if (typeof value !== "string" && !Array.isArray(value))
    return fields.error(name, `expected a list of PEM texts, found ${describe(value)}`, { code: 2222 })
  const read = fields.templates(name, { most: MOST_AUTHORITIES, what: "PEM text" })
  let isRight = read !== undefined
  for (const { path, template } of read ?? []) {
    const fault = template.isStatic ? authorityFault(template.text) : undefined
    if (fault === undefined) continue
    fields.complaints.error(path, fault.message, { code: fault.code, hint: fault.hint })
    isRight = false
  }
  return isRight ? read : undefined
}
