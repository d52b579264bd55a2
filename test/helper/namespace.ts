// A network namespace of its own with a cable to ours: its clients come from a real network, which can be cut.
import { existsSync } from "node:fs"
import { lineChildOf, type LineChild } from "./line-child.ts"

export interface Namespace extends Disposable {
  /** Our end of the cable, where its clients connect to. */
  readonly here: string
  /** Theirs. */
  readonly there: string
  /** Runs a file of Bun's in it. */
  run(file: string, ...args: string[]): LineChild
  /** Pulls the cable: nothing gets through any more, and nobody is told. */
  cut(): void
}

/** 198.18.0.0/15 is for tests of networks (RFC 2544), so that nothing of the machine's is there. A network for each run. */
const NETWORK = `198.${18 + ((process.pid >> 14) & 1)}.${(process.pid >> 6) & 255}`
const FIRST = (process.pid & 63) * 4
const HERE = `${NETWORK}.${FIRST + 1}`
const THERE = `${NETWORK}.${FIRST + 2}`

function ip(text: string): boolean {
  return Bun.spawnSync(["ip", ...text.split(" ")], { stdout: "ignore", stderr: "ignore" }).success
}

/** A run that was killed leaves its namespace behind, and its cable with it. */
function removeLeftOvers(): void {
  const { stdout } = Bun.spawnSync(["ip", "netns", "list"], { stderr: "ignore" })
  for (const [name, pid] of stdout.toString().matchAll(/^tidegate-(\d+)/gm)) {
    if (!existsSync(`/proc/${pid}`)) ip(`netns del ${name}`)
  }
}

/** `undefined` where we may not have one. */
export function namespace(): Namespace | undefined {
  if (Bun.which("ip") === null) return undefined
  removeLeftOvers()
  const name = `tidegate-${process.pid}`
  const cable = `tg${process.pid}`
  const inside = (text: string) => ip(`-n ${name} ${text}`)
  const remove = () => {
    ip(`link del ${cable}`)
    ip(`netns del ${name}`)
  }
  const made =
    ip(`netns add ${name}`) &&
    ip(`link add ${cable} type veth peer name ${cable}p`) &&
    ip(`link set ${cable}p netns ${name}`) &&
    ip(`addr add ${HERE}/30 dev ${cable}`) &&
    ip(`link set ${cable} up`) &&
    inside(`addr add ${THERE}/30 dev ${cable}p`) &&
    inside(`link set ${cable}p up`)
  if (!made) {
    remove()
    return undefined
  }
  return {
    here: HERE,
    there: THERE,
    run: (file, ...args) => lineChildOf(["ip", "netns", "exec", name, process.execPath, file, ...args]),
    cut: () => void inside(`link set ${cable}p down`),
    [Symbol.dispose]: remove,
  }
}
