// `spec.tls.frontend` of a Gateway: which clients of which ports have to show a certificate.
import type { Validation } from "./listener.ts"
import type { Objects } from "./objects.ts"
import { resolveAuthorities } from "./references.ts"
import type { FrontendTls, ObjectOf } from "./types.ts"

export interface Frontend {
  readonly validation: (port: number) => Validation
  /** What lets clients in that cannot be verified. */
  readonly insecure: string | undefined
}

const NONE: Validation = { clients: undefined, unresolved: [], failed: false }

export function frontendOf(objects: Objects, gateway: ObjectOf<"Gateway">): Frontend {
  const frontend = gateway.body.spec.tls?.frontend
  if (frontend === undefined) return { validation: () => NONE, insecure: undefined }
  const { default: everywhere, perPort = [] } = frontend
  const byPort = new Map(perPort.map(({ port, tls }) => [port, tls]))
  const read = new Map<FrontendTls, Validation>()
  const insecure = [
    ...(isInsecure(everywhere) ? ["spec.tls.frontend.default"] : []),
    ...perPort.filter(({ tls }) => isInsecure(tls)).map(({ port }) => `spec.tls.frontend.perPort of port ${port}`),
  ]
  return {
    validation(port) {
      const tls = byPort.get(port) ?? everywhere
      // The default may be left out by hands that only write perPort.
      if (tls === undefined) return NONE
      let known = read.get(tls)
      if (known === undefined) read.set(tls, (known = validationOf(objects, gateway, tls)))
      return known
    },
    insecure:
      insecure.length === 0
        ? undefined
        : `${insecure.join(" and ")}: AllowInsecureFallback lets clients in without a certificate that can be verified; who they are is for targets to find out`,
  }
}

function validationOf(objects: Objects, gateway: ObjectOf<"Gateway">, { validation }: FrontendTls): Validation {
  if (validation === undefined) return NONE
  const { caCertificateRefs, mode } = validation
  const { unresolved, values } = resolveAuthorities(objects, gateway, caCertificateRefs)
  if (values.length === 0) return { clients: undefined, unresolved, failed: true }
  const wanted = mode === "AllowInsecureFallback" ? "request" : "require-and-verify"
  return { clients: { mode: wanted, ca: values.join("") }, unresolved, failed: false }
}

function isInsecure(tls: FrontendTls | undefined): boolean {
  return tls?.validation?.mode === "AllowInsecureFallback"
}
