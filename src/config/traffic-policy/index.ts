// What ngrok's formats give to the gateway: traffic policies on their own, agent configurations, and the Kubernetes kinds
// of its operator.
export { compileTrafficPolicies, type TrafficPolicyDocuments } from "./compile.ts"
export { readAgent, type AgentDocument } from "./read-agent.ts"
export { readTrafficPolicy, type PolicyDocument } from "./read-traffic-policy.ts"
