// The listener plans and snapshots that are in use. A plan that did not change is the same object in the next snapshot,
// and what its policies hold is let go when no committed snapshot has it and its last connection has ended.
import { compile, isSameList, isSamePlan, type Plan } from "./compile.ts"
import type { ObjectState } from "./manifests/document.ts"
import { NO_POOLS, poolSet } from "./pool-sets.ts"
import { Usage, type FileState, type ListenerPlan, type Snapshot } from "./snapshot.ts"
import type { Version } from "./version.ts"

export class Plans {
  /** The plans that are not retired, by identity, each with the number of the latest load that made use of it. */
  private readonly open = new Map<string, Map<ListenerPlan, number>>()
  private readonly loads = new WeakMap<Snapshot, number>()
  private load = 0
  private latest: Snapshot | undefined
  private committed: Snapshot | undefined

  /** The snapshot of a load: the latest or the committed one again, when nothing changed. */
  snapshot(
    id: string,
    versions: readonly Version[],
    files: readonly FileState[],
    objects: readonly ObjectState[],
  ): Snapshot {
    this.load++
    const byPolicy = new Map(versions.flatMap((version) => version.policies().map((policy) => [policy, version])))
    const listeners = new Map<string, ListenerPlan>()
    for (const [identity, plan] of compile([...byPolicy.keys()])) {
      const known =
        this.find(plan) ??
        this.create(
          plan,
          plan.policies.map((policy) => byPolicy.get(policy)!),
        )
      this.openOf(identity).set(known, this.load)
      listeners.set(identity, known)
    }
    const policies = Object.freeze([...byPolicy.keys()])
    const { poolFiles, pools } = poolSet(
      versions.map(({ facts: { contents, file } }) => ({ file, pools: contents.pools })),
      [this.committed ?? NO_POOLS, this.latest ?? NO_POOLS],
    )
    const geoip = Object.freeze([...new Set(versions.flatMap(({ facts }) => facts.contents.geoip))])
    const made: Snapshot = Object.freeze({
      id,
      listeners,
      policies,
      pools,
      poolFiles,
      geoip,
      files: Object.freeze([...files]),
      objects,
    })
    // The same object again tells everybody that nothing changed, down to the problems of each file.
    const same = [this.committed, this.latest].find((other) => other !== undefined && isSameSnapshot(other, made))
    this.latest = same ?? made
    this.loads.set(this.latest, this.load)
    return this.latest
  }

  isNew(snapshot: Snapshot): boolean {
    return snapshot !== this.committed
  }

  /** Retires what the snapshot does not have, except what only later loads have: theirs may be committed yet. */
  commit(snapshot: Snapshot): void {
    this.committed = snapshot
    const kept = new Set(snapshot.listeners.values())
    const upTo = this.loads.get(snapshot) ?? this.load
    this.retire((plan, load) => !kept.has(plan) && load <= upTo)
  }

  close(): void {
    this.retire(() => true)
  }

  /** Connections under an equal plan count as connections of the new snapshot: nothing has to be handed over. */
  private find(plan: Plan): ListenerPlan | undefined {
    return [...this.openOf(plan.identity).keys()].find((known) => isSamePlan(known, plan))
  }

  private create(plan: Plan, versions: readonly Version[]): ListenerPlan {
    for (const version of versions) version.use()
    const usage = new Usage(() => {
      for (const version of versions) version.unuse()
    })
    return Object.freeze({ ...plan, usage })
  }

  private openOf(identity: string): Map<ListenerPlan, number> {
    let plans = this.open.get(identity)
    if (plans === undefined) {
      plans = new Map()
      this.open.set(identity, plans)
    }
    return plans
  }

  /** `Usage` calls back at once when nothing was accepted under the plan, else after its last connection. */
  private retire(which: (plan: ListenerPlan, load: number) => boolean): void {
    for (const [identity, plans] of this.open) {
      for (const [plan, load] of plans) {
        if (!which(plan, load)) continue
        plans.delete(plan)
        plan.usage.retire()
      }
      if (plans.size === 0) this.open.delete(identity)
    }
  }
}

function isSameSnapshot(a: Snapshot, b: Snapshot): boolean {
  return (
    a.id === b.id &&
    isSameList([...a.listeners.values()], [...b.listeners.values()]) &&
    isSameList(a.policies, b.policies) &&
    a.pools === b.pools &&
    a.objects === b.objects &&
    isSameList(a.geoip, b.geoip) &&
    isSameList(a.files.map(keyOf), b.files.map(keyOf))
  )
}

function keyOf(file: FileState): string {
  return JSON.stringify([file.file, file.state, file.version, file.problems])
}
