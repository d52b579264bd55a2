// TCPIngresses and ngrok's manifests in the words of Gateway API: plain objects to be printed, and what of the originals
// has no equal there.
import type { Diagnostic } from "../diagnostic.ts"
import { problemAt, type ObjectDocument } from "../manifests/document.ts"
import { gatewayForms } from "../kubernetes/kong/ingress.ts"
import { kongService } from "../kubernetes/kong/service-options.ts"
import { Objects } from "../kubernetes/objects.ts"
import { CONTROLLER, GATEWAY_CLASS } from "../kubernetes/tidegate-policy.ts"
import type { AnyObject, ObjectOf } from "../kubernetes/types.ts"
import { endpointForms } from "./endpoints.ts"
import { GATEWAY_API, policyObject, type Plain } from "./plain.ts"

export interface Converted {
  readonly objects: readonly Plain[]
  /** What has no equal, at its place in the original. */
  readonly notes: readonly Diagnostic[]
}

/** Nothing for objects that are no TCPIngress and no endpoint of ngrok's. */
export function convert(all: readonly AnyObject[]): Converted {
  const objects = new Objects(all)
  const notes: Diagnostic[] = []
  const note = (document: ObjectDocument) => (path: readonly PropertyKey[], message: string, hint?: string) =>
    void notes.push(problemAt(document, path, message, hint))
  const converted = all.flatMap((object): readonly Plain[] => {
    switch (object.kind) {
      case "TCPIngress":
        return ingressForms(object, objects, note(object.document))
      case "AgentEndpoint":
      case "CloudEndpoint":
        return endpointForms(object, objects, note(object.document))
      default:
        return []
    }
  })
  return { objects: converted.length === 0 ? [] : [gatewayClass(), ...converted], notes }
}

function gatewayClass(): Plain {
  return {
    apiVersion: GATEWAY_API,
    kind: "GatewayClass",
    metadata: { name: GATEWAY_CLASS },
    spec: { controllerName: CONTROLLER },
  }
}

type Note = (path: readonly PropertyKey[], message: string, hint?: string) => void

function ingressForms(ingress: ObjectOf<"TCPIngress">, objects: Objects, note: Note): Plain[] {
  const { forms, notes } = gatewayForms(ingress)
  for (const { hint, message, path } of notes) note(path, message, hint)
  const made = forms.map(({ object }) => object as unknown as Plain)
  const routes = made.filter(({ kind }) => kind !== "Gateway")
  const policies = forms
    .filter(({ object }) => object["kind"] !== "Gateway")
    .flatMap(({ path }, i): Plain[] => {
      const route = routes[i]!
      const backend = ingress.body.spec.rules[Number(path[2])]!.backend
      const service = objects.find("Service", ingress.metadata.namespace, backend.serviceName)
      if (service === undefined) return []
      const { notes: said, options, tls } = kongService(service, objects)
      for (const message of said) note([...path, "backend"], message)
      if (tls !== undefined)
        note(
          [...path, "backend"],
          "encryption to the Service: write a BackendTLSPolicy with the name of its certificate",
        )
      if (Object.keys(options).length === 0) return []
      return [
        policyObject(route.metadata.name, route.metadata.namespace, [{ kind: route.kind, name: route.metadata.name }], {
          upstream: options,
        }),
      ]
    })
  return [...made, ...policies]
}
