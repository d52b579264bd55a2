// Who else may write to a file: what others may change is not loaded, as sshd does with its keys (Debian's rule, by
// which a group of which the owner is the only member is no other).
import { accessSync, constants, readFileSync, type BigIntStats } from "node:fs"

const GROUP_WRITE = 0o020
const OTHERS_WRITE = 0o002

export interface Distrust {
  readonly message: string
  readonly hint: string
}

/** Why the file or folder is not trusted, or `undefined`. What lies on a read-only mount is: nobody can write to it. */
export function distrust(path: string, stat: BigIntStats): Distrust | undefined {
  const mode = Number(stat.mode) & 0o7777
  const others = (mode & OTHERS_WRITE) !== 0
  const group = (mode & GROUP_WRITE) !== 0 && !isPrivateGroup(Number(stat.uid), Number(stat.gid))
  if ((!others && !group) || isReadOnly(path)) return undefined
  const who = others ? "everyone" : `the group ${stat.gid}`
  const drop = others && group ? "go-w" : others ? "o-w" : "g-w"
  return {
    message: `not loaded, because ${who} may write to it (mode ${mode.toString(8).padStart(4, "0")})`,
    hint: `chmod ${drop} ${quoted(path)}`,
  }
}

/** ConfigMap volumes are mode 0777 and mounted read-only. */
function isReadOnly(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EROFS"
  }
}

/** Whether nobody but the owner and root is in the group. A group without an entry is private when it bears the owner's number. */
export function isPrivateGroup(uid: number, gid: number, groups = table("group"), users = table("passwd")): boolean {
  const owner = users.find((user) => Number(user[2]) === uid)?.[0]
  const harmless = new Set(users.filter((user) => user[2] === "0").map((user) => user[0]))
  const group = groups.find((entry) => Number(entry[2]) === gid)
  if (group === undefined && gid !== uid) return false
  const named = (group?.[3] ?? "").split(",").filter((name) => name !== "")
  const primary = users.filter((user) => Number(user[3]) === gid).map((user) => user[0])
  return [...named, ...primary].every((name) => name === owner || harmless.has(name))
}

function table(name: "group" | "passwd"): string[][] {
  try {
    const lines = readFileSync(`/etc/${name}`, "utf8").split("\n")
    return lines.filter((line) => line !== "").map((line) => line.split(":"))
  } catch {
    // An image without accounts has nobody else in it.
    return []
  }
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
