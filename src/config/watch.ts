// Says when policies may have changed: soon after file system events, and every 2 seconds in case there were none.
// What changed, the loader finds out.
import { watch as watchFolder, type FSWatcher } from "node:fs"
import { basename, dirname } from "node:path"
import { lookAt } from "./look-at.ts"

/** 12 ms after the last event: editors and git write a file in several steps. */
const QUIET = 12
/** 50 ms after the first event: a folder that never rests is looked at all the same. */
const LONGEST = 50
/** 2 seconds: for what gives no event, like network file systems, and a folder or a link further up that is replaced. */
const RESCAN = 2000

export interface Watching {
  /** Looks at the list of folders again: to be called after every load. */
  refresh(): void
  close(): void
}

interface Watched {
  readonly watcher: FSWatcher
  /** A folder of the same name may be another one now; the events of the old one end without a word. */
  readonly identity: string
}

/**
 * Watches folders; the first one only while it is there, because what is above it may be as busy as `/tmp`. `onChange`
 * is called for every batch of events and every 2 seconds; it should only note that a load is due, when one is running.
 */
export function watch(folders: () => readonly string[], onChange: () => void): Watching {
  const watched = new Map<string, Watched>()
  let due: ReturnType<typeof setTimeout> | undefined
  let first = 0
  let closed = false

  function notice(): void {
    if (closed) return
    const now = performance.now()
    if (due === undefined) first = now
    clearTimeout(due)
    due = setTimeout(fire, Math.max(0, Math.min(QUIET, first + LONGEST - now)))
  }

  function fire(): void {
    due = undefined
    refresh()
    onChange()
  }

  function forget(folder: string): void {
    watched.get(folder)?.watcher.close()
    watched.delete(folder)
  }

  function event(folder: string, kind: string, name: string | null): void {
    // A folder that is moved or removed reports its own name.
    if (name === basename(folder) && kind === "rename") forget(folder)
    notice()
  }

  /** True when the folder was not watched before, so that something in it may have gone unnoticed. */
  function add(folder: string): boolean {
    const identity = identityOf(folder)
    if (watched.get(folder)?.identity === identity) return false
    forget(folder)
    if (identity === undefined) return false
    try {
      const watcher = watchFolder(folder, { persistent: false }, (kind, name) => event(folder, kind, name))
      // The folder is looked at every 2 seconds all the same.
      watcher.on("error", () => forget(folder))
      watched.set(folder, { watcher, identity })
      return true
    } catch {
      // No inotify watch left, or the folder is gone again: the rescan remains.
      return false
    }
  }

  function refresh(): void {
    if (closed) return
    const [main, ...others] = folders()
    if (main === undefined) return
    const wanted = new Set([main, ...others.map((folder) => nearest(folder, main))])
    for (const folder of watched.keys()) if (!wanted.has(folder)) forget(folder)
    const added = [...wanted].filter(add)
    if (added.length > 0) notice()
  }

  refresh()
  const rescan = setInterval(() => {
    refresh()
    onChange()
  }, RESCAN)
  rescan.unref()
  return {
    refresh,
    close() {
      closed = true
      clearTimeout(due)
      clearInterval(rescan)
      for (const folder of watched.keys()) forget(folder)
    },
  }
}

/** The folder, or the nearest one above it that exists, but none above `top`: a missing import may come with its folder. */
function nearest(folder: string, top: string): string {
  let at = folder
  while (identityOf(at) === undefined && at !== top && at !== dirname(at)) at = dirname(at)
  return at
}

/** The inode alone is not enough: a new folder often gets the one that was just freed. */
function identityOf(folder: string): string | undefined {
  const stat = lookAt(folder)
  return stat?.isDirectory() ? `${stat.dev}:${stat.ino}:${stat.birthtimeNs}` : undefined
}
