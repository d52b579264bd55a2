// Gives the Gateways of a test their addresses: each one a loopback address of its own, and something to stand for what
// the manifests leave open.
import { FOREIGN_ADDRESS, type Addresses } from "./addresses.ts"
import { list, listenersOf, record, type Manifested, type Manifests } from "./manifest.ts"

const UNUSABLE = "PLACEHOLDER_UNUSABLE_ADDRS"
const USABLE = "PLACEHOLDER_USABLE_ADDRS"

/** What was put where, so that a step may speak of it. */
export interface Given {
  readonly usable: readonly string[]
  readonly unusable: readonly string[]
}

/** Edits the manifests. @throws NoAddress */
export function giveAddresses(manifests: Manifests, addresses: Addresses): Given {
  const usable: string[] = []
  const unusable: string[] = []
  for (const gateway of manifests.ofKind("Gateway")) {
    const written = list(record(gateway.value["spec"])["addresses"])
    const ports = portsOf(gateway, manifests)
    const take = () => addresses.take(ports)
    if (written.length === 0) {
      gateway.document.setIn(["spec", "addresses"], [{ type: "IPAddress", value: take() }])
      continue
    }
    written.forEach(({ value }, i) => {
      if (value !== USABLE && value !== UNUSABLE) return
      const given = value === USABLE ? take() : foreign(unusable.length)
      ;(value === USABLE ? usable : unusable).push(given)
      gateway.document.setIn(["spec", "addresses", i, "value"], given)
    })
  }
  return { usable, unusable }
}

/** Those of its own listeners and of the ListenerSets that want to be served by it. */
function portsOf(gateway: Manifested, manifests: Manifests): readonly number[] {
  const sets = manifests.ofKind("ListenerSet").filter(({ namespace, value }) => {
    const parent = record(record(value["spec"])["parentRef"])
    return parent["name"] === gateway.name && (parent["namespace"] ?? namespace) === gateway.namespace
  })
  return [gateway, ...sets]
    .flatMap(listenersOf)
    .map(({ port }) => port)
    .filter((port) => port > 0 && port < 65_536)
}

function foreign(index: number): string {
  const last = FOREIGN_ADDRESS.lastIndexOf(".") + 1
  return FOREIGN_ADDRESS.slice(0, last) + String(Number(FOREIGN_ADDRESS.slice(last)) + index)
}
