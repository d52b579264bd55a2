// Runs the Effects that policies answer with outside the gateway. Effect is imported only when there is one, and by
// names that Deno's type check does not follow: a policy without Effect is tested where effect is not installed.
import type { EffectOf } from "./connection.ts"

/** What is used of `effect/Effect`, `effect/Scope` and `effect/Exit`. */
interface EffectModule {
  runPromise<A>(effect: EffectOf<A>, options?: { signal: AbortSignal }): Promise<A>
}
interface ScopeModule {
  make(): EffectOf<unknown>
  provide<A>(effect: EffectOf<A>, scope: unknown): EffectOf<A>
  close(scope: unknown, exit: unknown): EffectOf<void>
}
interface ExitModule {
  readonly void: unknown
}

function load(name: "Effect" | "Scope" | "Exit"): Promise<any> {
  return import(`effect/${name}`)
}

/** Whether the value is an Effect, of whichever copy of effect. */
export function isEffect(value: unknown): value is EffectOf<unknown> {
  return typeof value === "object" && value !== null && "~effect/Effect" in value
}

/** Runs an Effect; aborting `signal` interrupts it. Rejects with what the Effect failed with. */
export async function runEffect(effect: EffectOf<unknown>, signal: AbortSignal): Promise<unknown> {
  const { runPromise }: EffectModule = await load("Effect")
  return runPromise(effect, { signal })
}

/** Runs an Effect in a scope of its own, which `release` closes; a failed one is released at once. */
export async function runScoped(
  effect: EffectOf<unknown>,
  signal: AbortSignal,
): Promise<{ value: unknown; release: () => Promise<void> }> {
  const { runPromise }: EffectModule = await load("Effect")
  const { close, make, provide }: ScopeModule = await load("Scope")
  const { void: done }: ExitModule = await load("Exit")
  const scope = await runPromise(make())
  const release = () => runPromise(close(scope, done))
  try {
    return { value: await runPromise(provide(effect, scope), { signal }), release }
  } catch (error) {
    await release()
    throw error
  }
}
