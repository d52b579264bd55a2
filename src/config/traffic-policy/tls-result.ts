// `actions.ngrok.terminate_tls.*`: what `conn.tls.*` says after the handshake, and what speaks against it. Nothing is
// computed before an expression reads it.
import { celList, type CelInput, type CelMap } from "@bufbuild/cel"
import { dualOf, objectOf, textIn, type Fields } from "./cel/dual.ts"
import type { Facts } from "./cel/index.ts"
import { VARIABLES } from "./cel/variables.ts"

const PREFIX = "conn.tls."
/** ngrok's names of what `conn.tls` has under another one. */
const OWN = ["warnings", "error"]

export function tlsResult(facts: Facts): CelMap {
  const mirrored = fieldsAt(facts, PREFIX)
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

/** The variables whose names begin with this. */
function fieldsAt(facts: Facts, prefix: string): Fields {
  const names = new Set<string>()
  for (const name of VARIABLES.keys())
    if (name.startsWith(prefix)) names.add(name.slice(prefix.length).split(".", 1)[0]!)
  return {
    names,
    has: (name) => names.has(name),
    get(name): CelInput | undefined {
      if (!names.has(name)) return undefined
      const value = VARIABLES.get(prefix + name)?.read(facts)
      const inner = `${prefix}${name}.`
      if (!hasAny(inner)) return value
      const text = textIn(value)
      return text === undefined ? objectOf(fieldsAt(facts, inner)) : dualOf(text, fieldsAt(facts, inner))
    },
  }
}

function hasAny(prefix: string): boolean {
  for (const name of VARIABLES.keys()) if (name.startsWith(prefix)) return true
  return false
}
