// Members for the tests of picks, and how often each was picked.
import type { Balancer, Request } from "../../../src/upstream/balance.ts"
import { Member } from "../../../src/upstream/member.ts"

/** One for each weight, in this order: a, b, c, ... */
export function membersOf(weights: readonly number[]): Member[] {
  return weights.map((weight, i) => {
    const id = i < 26 ? String.fromCharCode(97 + i) : `m${i}`
    const path = `/${id}`
    return new Member({
      id,
      name: id,
      target: { kind: "unix", url: `unix:${path}`, path },
      weight,
      priority: 0,
      maxConnections: 1_000_000,
    })
  })
}

/** As many of one weight. */
export function equalMembers(count: number): Member[] {
  return membersOf(Array.from({ length: count }, () => 1))
}

/** Given these, all of them usable. */
export function over<A extends Balancer>(balancer: A, members: readonly Member[]): A {
  balancer.update(members, members)
  return balancer
}

/** A connection that has tried nothing, some time after the start. */
export function request(about: Partial<Request> = {}): Request {
  return { hash: 0, now: 1000, tried: [], ...about }
}

/** The names of as many picks, joined. */
export function names(balancer: Balancer, count: number, about: Partial<Request> = {}): string {
  return Array.from({ length: count }, () => balancer.pick(request(about))?.id ?? "-").join("")
}

/** How often each was picked, in the order of the members. */
export function counts(
  balancer: Balancer,
  members: readonly Member[],
  picks: number,
  requestOf: (nth: number) => Request = () => request(),
): number[] {
  const found = new Map(members.map((member) => [member, 0]))
  for (let i = 0; i < picks; i++) {
    const member = balancer.pick(requestOf(i))!
    found.set(member, found.get(member)! + 1)
  }
  return members.map((member) => found.get(member)!)
}

/** What each would have if the counts followed the weights exactly. */
export function byWeight(weights: readonly number[], picks: number): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return weights.map((weight) => (picks * weight) / total)
}

/** The largest distance from what is expected, as a share of it. */
export function worstError(found: readonly number[], expected: readonly number[]): number {
  return Math.max(...found.map((count, i) => Math.abs(count / expected[i]! - 1)))
}

/**
 * How far counts are from what is expected, as a share of what chance exceeds once in a thousand times: below 1 they
 * agree. Pearson's chi-square, with the approximation of Wilson and Hilferty.
 */
export function chiSquare(found: readonly number[], expected: readonly number[]): number {
  const statistic = found.reduce((sum, count, i) => sum + (count - expected[i]!) ** 2 / expected[i]!, 0)
  const freedom = found.length - 1
  const part = 2 / (9 * freedom)
  return statistic / (freedom * (1 - part + 3.09 * Math.sqrt(part)) ** 3)
}
