// Between a client and a gateway: hands the client's hello on in other pieces, then every byte as it comes.
import { parseClientHello } from "../../src/protocol/client-hello.ts"
import type { TestGateway } from "./data-path.ts"
import { sendPieces } from "./pieces.ts"
import { upstream, type Upstream } from "./upstream.ts"
import { connect, type Wire } from "./wire.ts"

/** @param cut the pieces that go to the gateway in place of the nth client's hello */
export function cutter(gate: TestGateway, cut: (hello: Uint8Array, nth: number) => readonly Uint8Array[]): Upstream {
  return upstream(async (client, nth) => {
    await client.until(() => client.ended || client.closed || parseClientHello(client.soFar()) !== "more")
    const back = passTo(client)
    using onward = await connect(gate.port, { onData: back.data })
    const hello = client.soFar()
    const forth = passTo(onward, sendPieces(gate, onward, cut(hello, nth)))
    client.onData = forth.data
    void client.until(() => client.ended || client.closed).then(forth.end)
    await onward.until(() => onward.ended || onward.closed)
    await back.end()
    await onward.until(() => onward.closed)
  })
}

/** Writes in order, after what comes before. */
function passTo(wire: Wire, before: Promise<void> = Promise.resolve()) {
  let pending = before
  return {
    data(chunk: Uint8Array) {
      // Nobody is left to write to.
      pending = pending.then(() => wire.write(chunk)).catch(() => undefined)
    },
    async end() {
      await pending
      if (!wire.closed) wire.end()
    },
  }
}
