// The 100 address ranges that every system is given: with the load's own among them, or without.

const COUNT = 100
const OWN = "127.0.0.0/8"

function others(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${20 + i}.${(i * 37) % 256}.${(i * 11) % 256}.0/24`)
}

/** Sorted, as a careful operator would keep them. */
export function ranges(policy: string): readonly string[] {
  // 20 to 119 without 127, so that only OWN covers the load.
  return policy === "deny" ? others(COUNT) : [...others(COUNT - 1), OWN]
}
