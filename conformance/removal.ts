// What a step takes away, told in words: "unusable address", "address type example.com/kind", "ReferenceGrant NAME",
// "listener NAME".
import { list, record, type Manifested, type Manifests } from "./manifest.ts"
import type { Given } from "./places.ts"

/** The words say nothing that could be found. */
export class NothingToRemove extends Error {}

/** Edits the manifests. @throws NothingToRemove */
export function remove(text: string, manifests: Manifests, given: Given): void {
  if (/\baddress/i.test(text))
    return removeFrom("addresses", text, manifests, (entry) => isMeantAddress(entry, text, given))
  if (/\blistener\b/i.test(text))
    return removeFrom("listeners", text, manifests, ({ name }) => words(text).includes(String(name)))
  const objects = manifests.objects()
  const found = byName(text, objects) ?? byKind(text, objects)
  if (found === undefined) throw new NothingToRemove(`nothing in the manifests is meant by ${JSON.stringify(text)}`)
  manifests.remove(found.document)
}

function isMeantAddress({ type, value }: Readonly<Record<string, unknown>>, text: string, given: Given): boolean {
  if (typeof value === "string" && value !== "" && words(text).includes(value)) return true
  if (/\bunusable\b/i.test(text)) return given.unusable.includes(String(value))
  if (/\busable\b/i.test(text)) return given.usable.includes(String(value))
  return typeof type === "string" && words(text).includes(type)
}

function removeFrom(
  field: "addresses" | "listeners",
  text: string,
  manifests: Manifests,
  isMeant: (entry: Readonly<Record<string, unknown>>) => boolean,
): void {
  const owners = manifests.objects().filter(({ kind }) => kind === "Gateway" || kind === "ListenerSet")
  for (const { document, value } of owners) {
    const entries = list(record(value["spec"])[field])
    const index = entries.findIndex(isMeant)
    if (index < 0) continue
    if (entries.length === 1) document.deleteIn(["spec", field])
    else document.deleteIn(["spec", field, index])
    return
  }
  throw new NothingToRemove(`none of the ${field} is meant by ${JSON.stringify(text)}`)
}

function byName(text: string, objects: readonly Manifested[]): Manifested | undefined {
  const named = objects.filter(({ name }) => words(text).includes(name))
  return named.find(({ kind }) => says(text, kind)) ?? named[0]
}

function byKind(text: string, objects: readonly Manifested[]): Manifested | undefined {
  return (
    objects.find(({ kind }) => says(text, kind)) ??
    objects.find(({ kind }) => kind === "ReferenceGrant" && /\bgrant\b/i.test(text))
  )
}

/** Whether the text has the kind in it, in one word or several. */
function says(text: string, kind: string): boolean {
  return text.replaceAll(" ", "").toLowerCase().includes(kind.toLowerCase())
}

function words(text: string): readonly string[] {
  return text.split(/[\s,;:"'`()]+|\.$/)
}
