// A list of addresses in a file: read on the spot, or in slices beside other work. What changes while it is read is not
// taken for a list.
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync, type BigIntStats } from "node:fs"
import { setImmediate } from "node:timers/promises"
import type { AddressTable } from "../policy/address-table.ts"
import { AddressListInvalid, LARGEST_LIST, ListReader } from "./address-list.ts"
import { distrust } from "../trust.ts"
import { isFresh, settled, signature } from "./file-signature.ts"
import type { FileVersion } from "./followed-file.ts"
import { whyUnreadable } from "./unreadable.ts"

/** What a file held when it was read. */
export interface ListRead extends FileVersion {
  readonly table: AddressTable
  /** Prefixes, those that come twice counted twice. */
  readonly size: number
  /** The path with all links resolved. */
  readonly real: string
  readonly at: Date
  /** Milliseconds. */
  readonly took: number
}

/** A file changed while it was read: what was read is part of the old and part of the new. */
export class ListChanging extends AddressListInvalid {
  constructor(path: string) {
    super(path, "it changed while it was read; write another file and rename it")
  }
}

/** 64 KiB: some thousand lines, read in a millisecond or two. */
const PIECE = 64 * 1024
/** 4 ms: connections wait no longer for a list that is being read. */
const SLICE = 4
/** 3: who writes to a file without end gets no list out of it. */
const TRIES = 3

/** Reads a list on the spot. @throws AddressListInvalid */
export function readListNow(path: string): ListRead {
  for (let tries = 1; ; tries++) {
    try {
      const slices = reading(path)
      let slice = slices.next()
      while (slice.done !== true) slice = slices.next()
      return slice.value
    } catch (error) {
      if (!(error instanceof ListChanging) || tries === TRIES) throw error
    }
  }
}

/** Reads a list beside other work. @throws AddressListInvalid */
export async function readList(path: string): Promise<ListRead> {
  await settled(path)
  const slices = reading(path)
  for (;;) {
    const until = performance.now() + SLICE
    let slice = slices.next()
    while (slice.done !== true && performance.now() < until) slice = slices.next()
    if (slice.done === true) return { ...slice.value, unsure: false }
    await setImmediate()
  }
}

function* reading(path: string): Generator<void, ListRead> {
  const began = performance.now()
  const startedAt = Date.now()
  const { before, file, real } = opened(path)
  try {
    const doubt = distrust(path, before)
    if (doubt !== undefined) throw new AddressListInvalid(path, `${doubt.message}: ${doubt.hint}`)
    const reader = new ListReader(path)
    const piece = new Uint8Array(PIECE)
    let bytes = 0
    for (let length = readSync(file, piece); length > 0; length = readSync(file, piece)) {
      bytes += length
      // It grows as fast as it is read.
      if (bytes > before.size) throw new ListChanging(path)
      reader.feed(piece.subarray(0, length))
      yield
    }
    const table = yield* reader.steps()
    if (hasChanged(file, before)) throw new ListChanging(path)
    return {
      table,
      size: reader.size,
      real,
      signature: signature(before),
      unsure: isFresh(before, startedAt),
      at: new Date(),
      took: performance.now() - began,
    }
  } catch (error) {
    // Half of a new text is wrong in many ways; that it is half is what matters.
    if (hasChanged(file, before)) throw new ListChanging(path)
    throw error instanceof AddressListInvalid ? error : new AddressListInvalid(path, whyUnreadable(error))
  } finally {
    closeSync(file)
  }
}

function hasChanged(file: number, before: BigIntStats): boolean {
  return signature(fstatSync(file, { bigint: true })) !== signature(before)
}

function opened(path: string): { readonly file: number; readonly before: BigIntStats; readonly real: string } {
  let file: number | undefined
  try {
    const real = realpathSync(path)
    // A pipe without a writer would be waited for.
    file = openSync(real, constants.O_RDONLY | constants.O_NONBLOCK)
    const before = fstatSync(file, { bigint: true })
    if (!before.isFile()) throw new AddressListInvalid(path, "cannot be read: it is not a file")
    if (before.size > LARGEST_LIST)
      throw new AddressListInvalid(path, `${before.size} bytes; a list has at most ${LARGEST_LIST}`)
    return { file, before, real }
  } catch (error) {
    if (file !== undefined) closeSync(file)
    throw error instanceof AddressListInvalid ? error : new AddressListInvalid(path, whyUnreadable(error))
  }
}
