// PUBLIC: `import ... from "tidegate"`. Runs on Bun and on Deno, so nothing here uses an API of one of them.
export { deny, next, respond, route, DecisionInvalid } from "./policy/decision.ts"
export { cidrs, CidrInvalid } from "./policy/cidr.ts"
export { addressSet } from "./limit/address-set.ts"
export { AddressListInvalid } from "./limit/address-list.ts"
export { geo, GeoUnavailable } from "./policy/geo.ts"
export { DurationInvalid } from "./policy/duration.ts"
export { LimitInvalid } from "./policy/limits.ts"
export { rateLimit } from "./limit/rate-limit.ts"
export { concurrencyLimit } from "./limit/concurrency-limit.ts"
export { TargetInvalid } from "./policy/target.ts"
export { HelloInvalid, PrereadTimeout, PrereadTooLarge } from "./policy/preread.ts"
export { HandshakeFailed, TerminateInvalid } from "./policy/terminate.ts"
export type {
  Answer,
  Body,
  Decision,
  Deny,
  DenyOptions,
  Next,
  Respond,
  RespondOptions,
  Route,
  RouteBuilder,
  RouteOptions,
  WeightedTarget,
} from "./policy/decision.ts"
export type { CidrSet } from "./policy/cidr.ts"
export type { AddressSet } from "./limit/address-set.ts"
export type { Geo } from "./policy/geo.ts"
export type { Duration } from "./policy/duration.ts"
export type {
  BandwidthOptions,
  ByteRate,
  ConcurrencyLimitOptions,
  LimitKey,
  NamedKey,
  RateLimitOptions,
} from "./policy/limits.ts"
export type { RateLimit } from "./limit/rate-limit.ts"
export type { ConcurrencyLimit } from "./limit/concurrency-limit.ts"
export type { Listen, ListenOptions } from "./policy/listen.ts"
export type {
  Answering,
  Client,
  Connection,
  EffectOf,
  Endpoint,
  PeekOptions,
  Policy,
  PostgresStart,
  ProtocolOptions,
  Summary,
} from "./policy/connection.ts"
export type { ProxyFacts, ProxySsl, Tlv } from "./policy/proxy-facts.ts"
export type { ProxyProtocolOptions } from "./policy/proxy-senders.ts"
export type { AlternativeNames, ClientCertificate } from "./policy/client-certificate.ts"
export type {
  CertificatePair,
  ClientCertificateMode,
  PresentedCertificate,
  Terminated,
  TerminateOptions,
  TlsVersion,
} from "./policy/terminate.ts"
export type {
  Balance,
  Breaker,
  Health,
  HealthCheck,
  HealthCheckKind,
  PassiveHealth,
  Pool,
  Pools,
  PoolTarget,
  Queue,
} from "./policy/pool.ts"
export type { UpstreamTls } from "./policy/upstream-tls.ts"
export type { ClientHello, Protocol } from "./protocol/index.ts"
export type { Refusable } from "./protocol/refusal.ts"
