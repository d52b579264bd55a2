// A gateway without connections: loads the folder of its first argument, asks each policy once, and catches what they
// leave behind. Prints the log as JSON lines; ends when its standard input does.
import { Loader } from "../../src/config/loader.ts"
import { Failures } from "../../src/observe/failures.ts"
import { Log } from "../../src/observe/log.ts"

const log = new Log({ format: "json", fd: 1 })
const loader = new Loader(process.argv[2]!, { runSetup: true })
const failures = new Failures(log, { register: () => 1, enter: () => {}, loading: () => {} })
failures.attributeBy((error, asked) => loader.attribute(error, asked))
const stray = failures.catchStray()
const { snapshot } = await loader.load()
for (const policy of snapshot.policies) {
  try {
    await Reflect.apply(policy.connect, undefined, [])
  } catch (error) {
    failures.policyFailed(policy, error)
  }
}
// As a bug of ours would.
void Promise.reject(new Error("ours"))
for await (const _ of Bun.stdin.stream()) continue
for (const { failures: counted, file } of snapshot.policies) log.info(`${file} failed ${counted.count} times`)
await log.flush(5000)
stray[Symbol.dispose]()
process.exit(3)
