// One or more whole first messages for each protocol, with what is to be read from them.
import type { Protocol } from "../../src/protocol/index.ts"
import { ascii, zeros } from "./hello.ts"

/** Text in which one character is one byte. */
const bytes = (...parts: (string | readonly number[])[]) =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === "string" ? ascii(part) : part)))
const be16 = (value: number) => [value >> 8, value & 255]
const le32 = (value: number) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24]
const sized = (text: string) => [...be16(text.length), ...ascii(text)]
const noise = (count: number) => Array.from({ length: count }, (_, i) => (i * 67 + 41) & 255)
const utf16 = (text: string) => Array.from(text).flatMap((c) => be16(c.charCodeAt(0)))

const http = { protocol: "http", version: "1.1", method: "GET", target: "/", path: "/", port: undefined } as const
const postgres = { protocol: "postgres", kind: "startup", version: "3.0", applicationName: undefined } as const
const startup = (version: readonly number[], ...pairs: string[]) => {
  const body = bytes(version, pairs.map((text) => `${text}\0`).join(""), "\0")
  return bytes([0, 0], be16(body.length + 4), [...body])
}
const mqtt = (body: readonly number[]) => bytes([0x10, body.length], body)
const frame = (body: Uint8Array) => bytes(be16(body.length), [...body])
const stun = (type: number, attributes: readonly number[]) =>
  bytes(be16(type), be16(attributes.length), "\x21\x12\xa4\x42", noise(12), attributes)
const handshake = (address: string, port: number, state: number) => {
  const body = [0, 0xfb, 0x05, address.length, ...ascii(address), ...be16(port), state]
  return bytes([body.length], body)
}
const bson = (name: string) => [...le32(4 + 1 + name.length + 1 + 4 + 1), 0x10, ...ascii(name), 0, ...le32(1), 0]
const mongodb = (operation: number, body: readonly number[]) =>
  bytes(le32(16 + body.length), le32(7), le32(0), le32(operation), body)
const rdp = (body: readonly number[]) =>
  bytes([3, 0], be16(11 + body.length), [6 + body.length, 0xe0, 0, 0, 0x12, 0x34, 0], body)
const prelogin = (instance: string, encryption: number) => {
  const data = [...noise(6), encryption, ...ascii(`${instance}\0`)]
  const table = [
    [0, 16, 6],
    [1, 22, 1],
    [2, 23, instance.length + 1],
  ] as const
  const entries = table.flatMap(([token, offset, size]) => [token, ...be16(offset), ...be16(size)])
  return bytes([0x12, 1], be16(8 + 16 + data.length), zeros(4), entries, [0xff], data)
}
const mysql = (capabilities: number, rest: readonly number[]) =>
  bytes(le32(32 + rest.length).slice(0, 3), [1], le32(capabilities), le32(1 << 24), [255], zeros(23), rest)
const ldapBind = (name: string) => {
  const request = [2, 1, 3, 4, name.length, ...ascii(name), 0x80, 2, ...ascii("pw")]
  return bytes([0x30, 5 + request.length, 2, 1, 1, 0x60, request.length], request)
}
const oid = ascii("1.3.6.1.4.1.1466.20037")
const query = (name: readonly number[], type: number, flags = 0x0100) =>
  frame(bytes(be16(0x1234), be16(flags), be16(1), zeros(6), name, be16(type), be16(1)))
const opening = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"

export const samples: readonly (readonly [Uint8Array, Protocol])[] = [
  [bytes("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), { protocol: "proxy", version: 1 }],
  [bytes("PROXY UNKNOWN\r\n"), { protocol: "proxy", version: 1 }],
  [bytes("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", noise(12)), { protocol: "proxy", version: 2 }],
  [bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"), { protocol: "http2" }],
  [bytes("GET / HTTP/1.1\r\nHost: A.Example.\r\n\r\n"), { ...http, host: "a.example" }],
  [bytes("GET / HTTP/1.1\nAccept: */*\nhOST:[2001:DB8::1]:8080\n\n"), { ...http, host: "2001:db8::1", port: 8080 }],
  [bytes("GET / HTTP/1.0\r\n\r\n"), { ...http, version: "1.0", host: undefined }],
  [bytes(`GET / HTTP/1.1\r\n${"X: y\r\n".repeat(100)}Host: a\r\n\r\n`), { ...http, host: "a" }],
  [bytes("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), { ...http, host: undefined }],
  [bytes("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n"), { ...http, host: "a" }],
  [
    bytes("POST http://user@B.example:81?q HTTP/1.1\r\nHost: ignored\r\n\r\n"),
    { ...http, method: "POST", target: "http://user@B.example:81?q", host: "b.example", port: 81 },
  ],
  [
    bytes("CONNECT a.example:443 HTTP/1.1\r\n\r\n"),
    { ...http, method: "CONNECT", target: "a.example:443", path: undefined, host: "a.example", port: 443 },
  ],
  [
    bytes("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
    { ...http, method: "OPTIONS", target: "*", path: undefined, host: "a" },
  ],
  [
    bytes("SUBSCRIBE /events?x=1#y HTTP/1.1\r\nHost: a\r\n\r\n"),
    { ...http, method: "SUBSCRIBE", target: "/events?x=1#y", path: "/events", host: "a" },
  ],
  [
    bytes("SSH-2.0-OpenSSH_9.6p1 Ubuntu-3\r\n"),
    { protocol: "ssh", version: "2.0", software: "OpenSSH_9.6p1", comments: "Ubuntu-3" },
  ],
  [bytes("SSH-2.0-Go\n"), { protocol: "ssh", version: "2.0", software: "Go", comments: undefined }],
  [bytes("RFB 003.008\n"), { protocol: "vnc", version: "3.8" }],
  [bytes("AMQP\0\0\x09\x01"), { protocol: "amqp", version: "0-9-1", layer: "amqp" }],
  [bytes("AMQP\x03\x01\0\0"), { protocol: "amqp", version: "1.0", layer: "sasl" }],
  [bytes("AMQP\x01\x01\0\x0a"), { protocol: "amqp", version: "0-10", layer: "amqp" }],
  [
    bytes("\x13BitTorrent protocol", zeros(8), "\xab".repeat(20), noise(20)),
    { protocol: "bittorrent", infoHash: "ab".repeat(20) },
  ],
  [
    bytes(`<?xml version="1.0"?>\n<stream:stream to="A.example" from='b@a' ${opening}`),
    { protocol: "xmpp", to: "a.example", from: "b@a", side: "client" },
  ],
  [bytes(`<stream:stream ${opening}`), { protocol: "xmpp", to: undefined, from: undefined, side: "client" }],
  [bytes('CONNECT {"user":"u","name":"n","verbose":false}\r\nPING\r\n'), { protocol: "nats", user: "u", name: "n" }],
  [bytes("CONNECT {}\r\n"), { protocol: "nats", user: undefined, name: undefined }],
  [bytes("*2\r\n$4\r\nauth\r\n$1\r\nx\r\n"), { protocol: "redis", command: "AUTH" }],
  [bytes("ping\r\n"), { protocol: "redis", command: "PING" }],
  [bytes("SET key value\n"), { protocol: "redis", command: "SET" }],
  [
    startup([0, 3, 0, 0], "user", "u", "application_name", "psql"),
    { ...postgres, user: "u", database: "u", applicationName: "psql" },
  ],
  [
    startup([0, 3, 0, 2], "user", "u", "database", "d", "user", "w"),
    { ...postgres, version: "3.2", user: "w", database: "d" },
  ],
  [bytes("\0\0\0\x08\x04\xd2\x16\x2f"), { protocol: "postgres", kind: "ssl-request" }],
  [bytes("\0\0\0\x08\x04\xd2\x16\x30"), { protocol: "postgres", kind: "gss-request" }],
  [bytes("\0\0\0\x10\x04\xd2\x16\x2e", noise(8)), { protocol: "postgres", kind: "cancel" }],
  [prelogin("", 1), { protocol: "mssql", encryption: "on", instance: undefined }],
  [prelogin("SQLExpress", 0), { protocol: "mssql", encryption: "off", instance: "sqlexpress" }],
  [
    mqtt([...sized("MQTT"), 4, 0x82, 0, 60, ...sized("sensor"), ...sized("u")]),
    { protocol: "mqtt", version: "3.1.1", clientId: "sensor", user: "u", maximumPacketSize: undefined },
  ],
  [
    mqtt([...sized("MQTT"), 5, 0x86, 0, 60, 2, 0x25, 1, ...sized(""), 0, ...sized("w"), ...sized("m"), ...sized("u")]),
    { protocol: "mqtt", version: "5", clientId: "", user: "u", maximumPacketSize: undefined },
  ],
  [
    mqtt([...sized("MQIsdp"), 3, 2, 0, 60, ...sized("c")]),
    { protocol: "mqtt", version: "3.1", clientId: "c", user: undefined, maximumPacketSize: undefined },
  ],
  [ldapBind("cn=admin"), { protocol: "ldap", operation: "bind", name: "cn=admin", startTls: false }],
  [
    bytes([0x30, 29, 2, 1, 1, 0x77, 24, 0x80, 22], oid),
    { protocol: "ldap", operation: "extended", name: undefined, startTls: true },
  ],
  [
    bytes([0x30, 0x84, 0, 0, 0, 5, 2, 1, 1, 0x42, 0]),
    { protocol: "ldap", operation: "unbind", name: undefined, startTls: false },
  ],
  [
    rdp([...ascii("Cookie: mstshash=eve\r\n"), 1, 0, 8, 0, 3, 0, 0, 0]),
    { protocol: "rdp", cookie: "eve", routingToken: undefined, security: ["tls", "credssp"] },
  ],
  [rdp([1, 0, 8, 0, 0, 0, 0, 0]), { protocol: "rdp", cookie: undefined, routingToken: undefined, security: ["rdp"] }],
  [
    bytes("\x04\x01\0\x50\x5d\xb8\xd8\x77me\0"),
    { protocol: "socks4", command: "connect", host: "93.184.216.119", port: 80, user: "me" },
  ],
  [
    bytes("\x04\x02\0\x50\0\0\0\x01\0A.example\0"),
    { protocol: "socks4", command: "bind", host: "a.example", port: 80, user: "" },
  ],
  [bytes("\x05\x01\0"), { protocol: "socks5", methods: [0] }],
  [bytes("\x05\x03\0\x01\x02"), { protocol: "socks5", methods: [0, 1, 2] }],
  [stun(0x0001, []), { protocol: "stun", user: undefined }],
  [
    stun(0x0003, [...be16(0x8022), ...be16(2), 65, 66, 0, 0, ...be16(6), ...sized("u:v"), 0]),
    { protocol: "turn", user: "u:v" },
  ],
  [frame(stun(0x0001, [...be16(6), ...sized("a:bc")])), { protocol: "stun", user: "a:bc" }],
  [
    handshake("Play.Example.\0FML2\0", 25565, 2),
    {
      protocol: "minecraft",
      serverAddress: "play.example",
      serverPort: 25565,
      nextState: "login",
      protocolVersion: 763,
      legacy: false,
    },
  ],
  [
    handshake("a", 1, 1),
    {
      protocol: "minecraft",
      serverAddress: "a",
      serverPort: 1,
      nextState: "status",
      protocolVersion: 763,
      legacy: false,
    },
  ],
  [
    bytes("\xfe\x01\xfa\0\x0b", utf16("MC|PingHost"), be16(9), [78, 0, 1], utf16("a"), [0, 0, 0x63, 0xdd]),
    {
      protocol: "minecraft",
      serverAddress: "a",
      serverPort: 25565,
      nextState: "status",
      protocolVersion: 78,
      legacy: true,
    },
  ],
  [mongodb(2013, [...zeros(5), ...bson("hello")]), { protocol: "mongodb", command: "hello" }],
  [
    mongodb(2004, [...zeros(4), ...ascii("admin.$cmd\0"), ...zeros(4), ...le32(-1), ...bson("isMaster")]),
    { protocol: "mongodb", command: "isMaster" },
  ],
  [frame(bytes([0x38], noise(8), zeros(5))), { protocol: "openvpn", mode: "plain" }],
  [
    frame(bytes([0x38], noise(8), noise(20), [0, 0, 0, 1], noise(4), zeros(5))),
    { protocol: "openvpn", mode: "tls-auth" },
  ],
  [frame(bytes([0x38], noise(8), [0, 0, 0, 1], noise(4), noise(37))), { protocol: "openvpn", mode: "tls-crypt" }],
  [
    frame(bytes([0x50], noise(8), [15, 0, 0, 1], noise(4), noise(37), noise(298), be16(300))),
    { protocol: "openvpn", mode: "tls-crypt-v2" },
  ],
  [query(ascii("\x01A\x07example\0"), 28), { protocol: "dns", name: "a.example", type: 28 }],
  [query([3, 0x61, 0x2e, 0xff, 0], 1, 0x0120), { protocol: "dns", name: "a\\046\\255", type: 1 }],
  [query([0], 2, 0), { protocol: "dns", name: ".", type: 2 }],
  [mysql(0x0800 | 0x0200, []), { protocol: "mysql", kind: "ssl-request", user: undefined, database: undefined }],
  [
    mysql(0x20_8208, [...ascii("root\0"), 3, 1, 2, 3, ...ascii("shop\0")]),
    { protocol: "mysql", kind: "login", user: "root", database: "shop" },
  ],
  [mysql(0x0208, ascii("root\0answer\0shop\0")), { protocol: "mysql", kind: "login", user: "root", database: "shop" }],
  [mysql(0x8200, [...ascii("root\0"), 0]), { protocol: "mysql", kind: "login", user: "root", database: undefined }],
]

/** First messages of what is not in the table, and what resembles a protocol in it. */
export const strangers: readonly Uint8Array[] = [
  ...[
    "EHLO a.example\r\n",
    "NICK tim\r\nUSER tim 0 * :Tim\r\n",
    "AUTH PLAIN\r\n",
    "CAPA\r\n",
    "QUIT\r\n",
    "a1 LOGIN me pw\r\n",
    "get key\r\n",
    "set key 0 0 1\r\nx\r\n",
    "OPTIONS rtsp://a.example/media RTSP/1.0\r\n\r\n",
    "INVITE sip:a@b.example SIP/2.0\r\n\r\n",
    "GET / HTTP/2.0\r\n\r\n",
    "get / HTTP/1.1\r\n\r\n",
    "GET /\r\n",
    `GET / HTTP/1.1\r\n${"X: y\r\n".repeat(101)}Host: a\r\n\r\n`,
    "CONNECT a.example HTTP/1.1\r\n\r\n",
    "CONNECT {not json}\r\n",
    "SSH-2.0\r\n",
    `SSH-2.0-${"x".repeat(260)}\r\n`,
    "RFB 03.008\n",
    "<stream:stream to='a'>",
    "<html>",
    "<?xml version='1.0'?><svg>",
    "*0\r\n",
    "*1\r\n$0\r\n\r\n",
    "*1\r\n$999\r\n",
    "AMQP\x04\x01\x00\x00",
    "\x05\x02\x00\x00",
    "\x05\x01\xff",
    "\x05\x64\x05\xc0",
    "\x04\x03\x00\x50",
    "\x04\x01\x00\x50\x00\x00\x00\x01\x00\x00",
    "\x12\x01\x00\x04\x00",
    "\x10\x0c\x00\x04MQTX\x04\x02\x00\x3c\x00\x00",
    "\x10\x0c\x00\x04MQTT\x04\x03\x00\x3c\x00\x00",
    "\x03\x00\x00\x0b\x06\xe0\x00\x00\x00\x00\x00",
    "\x30\x06\x02\x01\x00\x04\x01x",
    "\x38\x01",
    "\xff\xff\xff\xff\xff",
    "\xfe\x01\xfb",
  ].map((text) => bytes(text)),
  rdp(ascii("\x03\0\0\x0b\0\0\0\0\0\0\0")),
  query([0], 1, 0x8180),
  query([0], 0),
  handshake("a", 1, 4),
  startup([0, 2, 0, 0], "user", "u"),
  mongodb(1, zeros(20)),
  mysql(0x0800, []),
  frame(bytes([0x38], noise(13))),
]
