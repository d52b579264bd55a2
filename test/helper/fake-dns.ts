// A DNS server of this process, over UDP and TCP on one port of 127.0.0.1, that answers what the test wants: also
// nothing, too much, or nonsense.
import { createSocket } from "node:dgram"
import { decode, encode, type Answer, type Packet } from "dns-packet"

export interface Asked {
  readonly over: "udp" | "tcp"
  readonly id: number
  readonly name: string
  readonly type: string
  /** Whether it came with EDNS. */
  readonly withOptions: boolean
}

export interface Reply extends Omit<Packet, "id" | "type"> {
  /** @default 0 */
  readonly rcode?: number
}

/** One or more messages; nothing where the server is silent. Bytes go as they are, replies with the identifier and question. */
export type Replies = Reply | Uint8Array | readonly (Reply | Uint8Array)[] | undefined

export interface FakeDns extends Disposable {
  /** As a setting: `127.0.0.1:port`. */
  readonly server: string
  readonly port: number
  readonly asked: Asked[]
}

/** A reply as a server sends it. */
export function replyTo(
  { id, name, type }: Pick<Asked, "id" | "name" | "type">,
  { rcode = 0, flags = 0x180, ...reply }: Reply,
): Uint8Array {
  const questions = reply.questions ?? [{ name, type: type as "A" }]
  return encode({ ...reply, id, type: "response", flags: flags | rcode, questions })
}

/** @param answer may take its time @param port 0 for any */
export async function fakeDns(answer: (asked: Asked) => Replies | Promise<Replies>, port = 0): Promise<FakeDns> {
  const asked: Asked[] = []
  const messages = async (bytes: Uint8Array, over: "udp" | "tcp"): Promise<Uint8Array[]> => {
    const { additionals, id = 0, questions } = decode(Buffer.from(bytes))
    const question = questions![0]!
    const one: Asked = {
      over,
      id,
      name: question.name,
      type: question.type,
      withOptions: additionals?.some(({ type }) => type === "OPT") === true,
    }
    asked.push(one)
    const replies = await answer(one)
    const list =
      replies === undefined ? [] : Array.isArray(replies) ? (replies as (Reply | Uint8Array)[]) : [replies as Reply]
    return list.map((reply) => (reply instanceof Uint8Array ? reply : replyTo(one, reply)))
  }
  const tcp = Bun.listen({
    hostname: "127.0.0.1",
    port,
    socket: {
      async data(socket, chunk) {
        for (const message of await messages(chunk.subarray(2), "tcp")) {
          socket.write(Buffer.concat([Uint8Array.of(message.length >> 8, message.length & 255), message]))
        }
      },
      error: () => undefined,
    },
  })
  const udp = createSocket("udp4")
  let closed = false
  udp.on("message", async (bytes, from) => {
    for (const message of await messages(bytes, "udp")) if (!closed) udp.send(message, from.port, from.address)
  })
  await new Promise<void>((resolve, reject) => {
    udp.once("error", (error) => {
      tcp.stop(true)
      reject(error)
    })
    udp.bind(tcp.port, "127.0.0.1", resolve)
  })
  return {
    server: `127.0.0.1:${tcp.port}`,
    port: tcp.port,
    asked,
    [Symbol.dispose]() {
      closed = true
      tcp.stop(true)
      udp.close()
    },
  }
}

export function a(name: string, data: string, ttl = 60): Answer {
  return { name, type: "A", class: "IN", ttl, data }
}

export function aaaa(name: string, data: string, ttl = 60): Answer {
  return { name, type: "AAAA", class: "IN", ttl, data }
}

export function cname(name: string, data: string, ttl = 60): Answer {
  return { name, type: "CNAME", class: "IN", ttl, data }
}

export function srv(
  name: string,
  target: string,
  port: number,
  more: { priority?: number; weight?: number; ttl?: number } = {},
): Answer {
  const { priority = 0, ttl = 60, weight = 0 } = more
  return { name, type: "SRV", class: "IN", ttl, data: { target, port, priority, weight } }
}

/** Of a zone that says for how long its absences hold. */
export function soa(name: string, minimum: number, ttl = 3600): Answer {
  const data = { mname: "ns.test", rname: "admin.test", serial: 1, refresh: 1, retry: 1, expire: 1, minimum }
  return { name, type: "SOA", class: "IN", ttl, data }
}
