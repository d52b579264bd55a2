// The listener plans and snapshots that are in use. A plan that did not change is the same object in the next snapshot,
// and what its policies hold is let go when no committed snapshot has it and its last connection has ended.
import { compile, isSameList, isSamePlan, type Plan } from "./compile.ts"
import { Usage, type FileState, type ListenerPlan, type Snapshot } from "./snapshot.ts"
import type { Version } from "./version.ts"

export class Plans {
  /** The plans that are not retired, with the number of the latest load that made use of them. */
  private readonly open = new Map<ListenerPlan, number>()
  private readonly loads = new WeakMap<Snapshot, number>()
  private load = 0
  private latest: Snapshot | undefined
  private committed: Snapshot | undefined

  /** The snapshot of a load: the latest or the committed one again, when nothing changed. */
  snapshot(id: string, versions: readonly Version[], files: readonly FileState[]): Snapshot {
    this.load++
    const byPolicy = new Map(versions.map((version) => [version.ready(), version]))
    const listeners = new Map<string, ListenerPlan>()
    for (const [identity, plan] of compile([...byPolicy.keys()])) {
      const known =
        this.find(plan) ??
        this.create(
          plan,
          plan.policies.map((policy) => byPolicy.get(policy)!),
        )
      this.open.set(known, this.load)
      listeners.set(identity, known)
    }
    const policies = Object.freeze([...byPolicy.keys()])
    const made: Snapshot = Object.freeze({ id, listeners, policies, files: Object.freeze([...files]) })
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
    for (const [plan, load] of this.open) if (!kept.has(plan) && load <= upTo) this.retire(plan)
  }

  close(): void {
    for (const plan of this.open.keys()) this.retire(plan)
  }

  private find(plan: Plan): ListenerPlan | undefined {
    for (const known of this.open.keys()) {
      if (known.identity === plan.identity && isSamePlan(known, plan)) return known
    }
    return undefined
  }

  private create(plan: Plan, versions: readonly Version[]): ListenerPlan {
    for (const version of versions) version.use()
    const usage = new Usage(() => {
      for (const version of versions) version.unuse()
    })
    return Object.freeze({ ...plan, usage })
  }

  private retire(plan: ListenerPlan): void {
    this.open.delete(plan)
    plan.usage.retire()
  }
}

function isSameSnapshot(a: Snapshot, b: Snapshot): boolean {
  return (
    a.id === b.id &&
    isSameList([...a.listeners.values()], [...b.listeners.values()]) &&
    isSameList(a.policies, b.policies) &&
    isSameList(a.files.map(keyOf), b.files.map(keyOf))
  )
}

function keyOf(file: FileState): string {
  return JSON.stringify([file.file, file.state, file.version, file.problems])
}
