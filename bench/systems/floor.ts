// The bare relay of bench/floor.ts: what is left when nothing is decided.
import { join } from "node:path"
import type { Policy, System } from "../system.ts"

const MODES: Readonly<Partial<Record<Policy, string>>> = {
  list: "relay",
  deny: "deny",
  sni: "hello",
  terminate: "terminate",
  tell: "tell",
}

export const floor: System = {
  name: "floor",
  missing: () => undefined,
  policies: ["list", "deny", "sni", "terminate", "tell"],
  withoutList: true,
  buffers: false,
  reloads: false,
  version: () => `Bun ${Bun.version}`,
  prepare: ({ policy, address, first, last, upstream, certificate }) => [
    process.execPath,
    "--no-install",
    join(import.meta.dir, "../floor.ts"),
    address,
    `${first}-${last}`,
    MODES[policy]!,
    ...(certificate === undefined ? [] : [certificate.cert, certificate.key]),
    ...(policy === "deny" || policy === "tell" ? [] : [String(upstream)]),
  ],
}
