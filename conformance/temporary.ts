// Temporary folders, which are gone when the replay ends, however it ends.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface TemporaryFolder extends Disposable {
  readonly path: string
}

export function temporaryFolder(): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), "tidegate-conformance-"))
  const dispose = () => rmSync(path, { recursive: true, force: true })
  process.on("exit", dispose)
  return {
    path,
    [Symbol.dispose]() {
      process.off("exit", dispose)
      dispose()
    },
  }
}
