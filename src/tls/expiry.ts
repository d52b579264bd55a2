// Which certificates are about to expire, said once a day each. Pure.
import { date, type Identity } from "./identity.ts"

/** 30 days: what renews certificates does so before, so who reads this has to act. */
export const WARN_FROM_DAYS = 30
const DAY = 24 * 60 * 60 * 1000

export interface Expiring {
  readonly identity: Identity
  /** Whole days that are left; -1 when it has expired. */
  readonly days: number
  /** One line, like `site.crt expires in 12 days (2026-01-31 12:00:00 UTC)`. */
  readonly message: string
}

/** What was said already: the days that were left, by file and certificate. */
export type ExpirySaid = ReadonlyMap<string, number>

/** The lines that are due now, and what to pass the next time. A renewed certificate is another one. */
export function expiring(
  identities: readonly Identity[],
  said: ExpirySaid,
  now: Date,
): { readonly due: readonly Expiring[]; readonly said: ExpirySaid } {
  const next = new Map<string, number>()
  const due: Expiring[] = []
  for (const identity of identities) {
    const left = identity.notAfter.getTime() - now.getTime()
    const days = left <= 0 ? -1 : Math.floor(left / DAY)
    if (days >= WARN_FROM_DAYS) continue
    const id = `${identity.file}\n${identity.id}`
    next.set(id, days)
    if (said.get(id) !== days) due.push({ identity, days, message: messageOf(identity, days) })
  }
  return { due, said: next }
}

function messageOf({ file, notAfter }: Identity, days: number): string {
  const when =
    days < 0 ? "expired" : days === 0 ? "expires within a day" : `expires in ${days} day${days > 1 ? "s" : ""}`
  return `${file} ${when} (${date(notAfter)})`
}
