// The same question, written with Effect: each attempt has a second, a failed one is tried twice more, and when there
// is no answer only the office gets in. When the client leaves, all of it is interrupted.
import { Effect, Schedule } from "effect"
import { deny, next, type Answer, type Connection } from "tidegate"

export const listen = "tcp://127.0.0.1:9107"

const ask = (address: string) =>
  Effect.tryPromise((signal) => fetch(`http://127.0.0.1:8080/may-connect?ip=${address}`, { signal }))

export const on_tcp_connect = (connection: Connection) =>
  ask(encodeURIComponent(connection.client.address ?? "")).pipe(
    Effect.timeout("1 second"),
    Effect.retry({ times: 2, schedule: Schedule.exponential("50 millis") }),
    Effect.map((response): Answer => (response.ok ? next : deny(`the service said ${response.status}`))),
    Effect.orElseSucceed((): Answer => (connection.client.within("10.0.0.0/8") ? next : deny("no answer"))),
  )
