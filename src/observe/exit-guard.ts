// No policy ends the process that loads it. Who called cannot be told from the stack (a call in tail position leaves no
// line of its function), so while the guard stands nobody may: our own ways out are taken after it is gone.

const WAYS_OUT = ["exit", "abort"] as const

/** Makes `process.exit` and `process.abort` throw, until it is disposed. */
export function guardExit(): Disposable {
  const before = WAYS_OUT.map((name) => [name, Reflect.get(process, name)] as const)
  for (const [name] of before) {
    Reflect.set(process, name, (code?: unknown) => {
      throw new Error(`process.${name}(${typeof code === "number" ? code : ""}): a policy cannot end the gateway`)
    })
  }
  return {
    [Symbol.dispose]: () => {
      for (const [name, original] of before) Reflect.set(process, name, original)
    },
  }
}
