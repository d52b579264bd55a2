// Connections that linger, in the order in which they began to. They are decided and owed nothing but time, so that they
// are let go of first where there is no room for others.
import type { Connection } from "./connection.ts"

export class Lingering {
  private readonly connections = new Set<Connection>()

  get size(): number {
    return this.connections.size
  }

  add(connection: Connection): void {
    this.connections.add(connection)
  }

  delete(connection: Connection): void {
    this.connections.delete(connection)
  }

  /** Ends the one that has lingered the longest. Returns whether there was one besides `spared`. */
  letGo(spared?: Connection): boolean {
    for (const connection of this.connections) {
      if (connection === spared) continue
      connection.finish(connection.closeReason!, connection.closedBy)
      return true
    }
    return false
  }
}
