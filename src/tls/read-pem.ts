// Reads a file of the certificates folder, if it is a file, of a sane size, and nobody else may write to it.
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  realpathSync,
  statSync,
  type BigIntStats,
} from "node:fs"
import { dirname } from "node:path"
import { distrust } from "../trust.ts"
import { IdentityInvalid, type PemText } from "./identity.ts"

/** 1 MiB: a chain is some KiB; a larger file is a slip, and is read on the thread that serves. */
const LARGEST = 1024 * 1024
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "it is gone again",
  ELOOP: "its links lead in a circle",
  EACCES: "permission denied",
}

export interface PemFile extends PemText {
  /** The folder that links led to, when it is another one than that of the path. */
  readonly elsewhere: string | undefined
}

/**
 * @param file the name that people know it by
 * @throws IdentityInvalid
 */
export function readPem(path: string, file: string): PemFile {
  try {
    // Opening a pipe would wait for its writer.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stat = fstatSync(fd, { bigint: true })
      if (!stat.isFile()) throw new IdentityInvalid(file, "cannot be read: it is not a file")
      if (stat.size > LARGEST) throw new IdentityInvalid(file, `${stat.size} bytes; such a file has at most ${LARGEST}`)
      const real = realpathSync(path)
      const folder = dirname(real)
      checkTrust(file, real, stat)
      checkTrust(file, folder, statSync(folder, { bigint: true }))
      // PEM is ASCII; what is around it may be anything.
      const text = readFileSync(fd, "latin1")
      return { file, text, elsewhere: folder === realpathSync(dirname(path)) ? undefined : folder }
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (error instanceof IdentityInvalid) throw error
    const { code } = error as NodeJS.ErrnoException
    throw new IdentityInvalid(file, `cannot be read: ${REASONS[code ?? ""] ?? code ?? String(error)}`)
  }
}

function checkTrust(file: string, path: string, stat: BigIntStats): void {
  const found = distrust(path, stat)
  if (found === undefined) return
  const where = stat.isDirectory() ? `its folder ${path}: ` : ""
  throw new IdentityInvalid(file, where + found.message, { hint: found.hint })
}
