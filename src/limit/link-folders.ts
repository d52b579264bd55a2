// Where a change can make a path lead to another file: the folders of the file and of every link on the way to it.
import { lstatSync, readlinkSync } from "node:fs"
import { join, parse, resolve, sep } from "node:path"

/** 40 links, as the kernel follows. */
const MOST_LINKS = 40

/** The folders to watch, for an absolute path; of what is not there, the folder that it would be in. */
export function linkFolders(path: string): string[] {
  const found = new Set<string>()
  const links: string[] = [resolve(path)]
  for (const target of links) follow(target, found, links)
  return [...found]
}

function follow(path: string, found: Set<string>, links: string[]): void {
  const { root } = parse(path)
  const names = path.slice(root.length).split(sep)
  let at = root
  for (const [i, name] of names.entries()) {
    const next = join(at, name)
    if (i === names.length - 1) found.add(at)
    const target = linkAt(next)
    if (target !== undefined) {
      found.add(at)
      // The rest of the path is looked at behind the link; in front of it is only the link itself.
      if (links.length <= MOST_LINKS) links.push(join(resolve(at, target), ...names.slice(i + 1)))
      return
    }
    at = next
  }
}

function linkAt(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined
  } catch {
    // It is not there, which is no reason not to look for it.
    return undefined
  }
}
