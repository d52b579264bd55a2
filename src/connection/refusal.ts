// What is not dialled, whoever asks for it: connections and checks of targets follow the same rules.
import { isLinkLocal, type Ip } from "../policy/address.ts"
import type { DataPath } from "./data-path.ts"

const OWN = "refused: a listener of this gateway (--allow-own-listeners permits it)"

/** Why an address must not be dialled. */
export function refusedAddress({ settings, exits }: DataPath, ip: Ip, port: number): string | undefined {
  if (!settings.allowLinkLocal && isLinkLocal(ip))
    return "refused: a link-local address (--allow-link-local permits it)"
  return !settings.allowOwnListeners && exits.ownAddress(ip, port) ? OWN : undefined
}

/** Why a socket file must not be dialled. */
export function refusedPath({ settings, exits }: DataPath, path: string): string | undefined {
  return !settings.allowOwnListeners && exits.ownPath(path) ? OWN : undefined
}
