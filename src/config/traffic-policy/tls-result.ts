// `actions.ngrok.terminate_tls.*`: what `conn.tls.*` says after the handshake, and what speaks against it. Nothing is
// computed before an expression reads it.
import { celList, type CelMap } from "@bufbuild/cel"
import { fieldsWithin } from "./cel/activation.ts"
import { objectOf, type Fields } from "./cel/dual.ts"
import type { Facts } from "./cel/index.ts"

/** ngrok's names of what `conn.tls` has under another one. */
const OWN = ["warnings", "error"]

export function tlsResult(facts: Facts): CelMap {
  const mirrored = fieldsWithin("conn.tls", facts)
  return objectOf({
    names: [...mirrored.names, ...OWN],
    has: (name) => OWN.includes(name) || mirrored.has(name),
    get(name) {
      // A handshake that fails ends the connection: what is read here has succeeded.
      if (name === "error") return objectOf(textsOf({ code: "", message: "" }))
      return name === "warnings" ? celList(warningsOf(facts)) : mirrored.get(name)
    },
  })
}

/** Of a certificate that was asked for, and need not be good. */
function warningsOf({ terminated }: Facts): string[] {
  const unverified = terminated?.clientCertificate?.unverified
  return unverified === undefined ? [] : [`the client's certificate is not verified: ${unverified}`]
}

function textsOf(texts: Readonly<Record<string, string>>): Fields {
  return {
    names: Object.keys(texts),
    has: (name) => Object.hasOwn(texts, name),
    get: (name) => (Object.hasOwn(texts, name) ? texts[name] : undefined),
  }
}
