// Objects as they are printed.
import { TIDEGATE_GROUP } from "../kubernetes/tidegate-policy.ts"

export const GATEWAY_API = "gateway.networking.k8s.io/v1"
export const GATEWAY_GROUP = "gateway.networking.k8s.io"

export interface Plain {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly [field: string]: unknown
}

export function policyObject(
  name: string,
  namespace: string | undefined,
  targets: readonly { readonly kind: string; readonly name: string }[],
  spec: Readonly<Record<string, unknown>>,
): Plain {
  return {
    apiVersion: `${TIDEGATE_GROUP}/v1alpha1`,
    kind: "TidegatePolicy",
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    spec: { targetRefs: targets.map((target) => ({ group: GATEWAY_GROUP, ...target })), ...spec },
  }
}
