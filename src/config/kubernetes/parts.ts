// What each file gives, put together from the halves of the compiler.
import { createHash } from "node:crypto"
import type { Contents } from "../contents.ts"
import type { Part } from "../manifests/document.ts"

/** One part per file, of all that are given; the first come first. */
export function mergeParts(...all: readonly ReadonlyMap<string, Part>[]): ReadonlyMap<string, Part> {
  const byFile = new Map<string, Part[]>()
  for (const parts of all) {
    for (const [file, part] of parts) {
      const known = byFile.get(file)
      if (known === undefined) byFile.set(file, [part])
      else known.push(part)
    }
  }
  return new Map([...byFile].map(([file, parts]) => [file, parts.length === 1 ? parts[0]! : together(parts)]))
}

function together(parts: readonly Part[]): Part {
  return {
    key: createHash("sha256")
      .update(JSON.stringify(parts.map(({ key }) => key)))
      .digest("hex"),
    modules: parts.flatMap(({ modules }) => modules),
    problems: parts.flatMap(({ problems }) => problems),
    warnings: parts.flatMap(({ warnings }) => warnings),
    contents(modules) {
      const contents: Contents[] = []
      const faults = parts.flatMap((part) => {
        const made = part.contents(modules)
        if (!("rules" in made)) return made
        contents.push(made)
        return []
      })
      return faults.length > 0 ? faults : mergeContents(contents)
    },
  }
}

function mergeContents(all: readonly Contents[]): Contents {
  return {
    setup: undefined,
    rules: all.flatMap(({ rules }) => rules),
    pools: new Map(all.flatMap(({ pools }) => [...pools])),
    geoip: all.flatMap(({ geoip }) => geoip),
    limits: all.flatMap(({ limits }) => limits),
    placeOfPool: (name) => (all.find(({ pools }) => pools.has(name)) ?? all[0]!).placeOfPool(name),
  }
}
