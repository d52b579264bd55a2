// ngrok's traffic policies, as those see them who have one: what is read, what it needs of others, and what runs it.
export { compilePolicy } from "./compile-policy.ts"
export { readPolicy } from "./read-policy.ts"
export type { Mention, Situation, TrafficPolicy } from "./situation.ts"
export {
  ForwardFailure,
  type CompiledPolicy,
  type Forwarded,
  type IpRules,
  type PolicyContext,
  type Visit,
} from "./visit.ts"
export { cidrFault } from "./actions/cidr-fault.ts"
