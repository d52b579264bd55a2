// Which route has the traffic of a name, where several want it: on each listener, for each pattern, exactly one.
import type { Surroundings } from "../manifests/document.ts"
import { byAge } from "./conditions.ts"
import type { Route } from "./effective.ts"
import { bySpecificity, type Hostname } from "./hostnames.ts"
import type { ListenerState } from "./listener-state.ts"
import type { Match } from "./parents.ts"

/** A route on a listener that serves. */
export interface Attachment {
  readonly route: Route
  readonly match: Match
}

/** What becomes of the names of an attachment. */
export interface Outcome {
  readonly won: readonly Hostname[]
  /** Names that another route has, by that route. */
  readonly lost: ReadonlyMap<Route, readonly Hostname[]> | undefined
  /** Names that belong to a listener with a more specific hostname, whether or not a route serves them there. */
  readonly left: readonly Hostname[]
}

const NONE: readonly Hostname[] = Object.freeze([])

interface Contest {
  winner: Attachment
  hostname: Hostname
}

interface Place {
  readonly contests: Map<Hostname, Contest>
  /** Names that are others', with all that they cover. */
  readonly shadows: ReadonlySet<string>
}

export class Contests {
  private readonly surroundings: Surroundings
  private readonly places = new Map<ListenerState, Place>()

  constructor(surroundings: Surroundings) {
    this.surroundings = surroundings
  }

  enter(attachment: Attachment): void {
    const { listener, names } = attachment.match
    let place = this.places.get(listener)
    if (place === undefined)
      this.places.set(listener, (place = { contests: new Map(), shadows: new Set(listener.shadowedBy) }))
    for (const { hostname, pattern } of names) {
      if (isShadowed(pattern, place.shadows)) continue
      const contest = place.contests.get(pattern)
      if (contest === undefined) place.contests.set(pattern, { winner: attachment, hostname })
      else if (this.goesBefore(attachment, hostname, contest)) {
        contest.winner = attachment
        contest.hostname = hostname
      }
    }
  }

  /** Once all have entered. */
  outcome(attachment: Attachment): Outcome {
    const { listener, names } = attachment.match
    const place = this.places.get(listener)
    const [first] = names
    if (names.length === 1 && place?.contests.get(first!.pattern)?.winner === attachment)
      return { won: [first!.pattern], lost: undefined, left: NONE }
    const won: Hostname[] = []
    const left: Hostname[] = []
    const lost = new Map<Route, Hostname[]>()
    for (const { pattern } of names) {
      const winner = place?.contests.get(pattern)?.winner
      if (winner === undefined) left.push(pattern)
      else if (winner === attachment) won.push(pattern)
      else {
        const known = lost.get(winner.route)
        if (known === undefined) lost.set(winner.route, [pattern])
        else known.push(pattern)
      }
    }
    return { won, lost: lost.size === 0 ? undefined : lost, left }
  }

  /** The route whose own hostname is more specific, then the older one, then the first by namespace and name. */
  private goesBefore({ route }: Attachment, hostname: Hostname, contest: Contest): boolean {
    const order = bySpecificity(hostname, contest.hostname)
    return (order === 0 ? byAge(this.surroundings, route, contest.winner.route) : order) < 0
  }
}

/** Whether all that the pattern matches is matched by one of the others: one look-up per label. */
function isShadowed(pattern: Hostname, shadows: ReadonlySet<string>): boolean {
  if (pattern === undefined || shadows.size === 0) return false
  if (shadows.has(pattern)) return true
  for (let dot = pattern.indexOf("."); dot >= 0; dot = pattern.indexOf(".", dot + 1))
    if (shadows.has(`*${pattern.slice(dot)}`)) return true
  return false
}
