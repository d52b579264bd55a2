import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import manifest from "../../package.json" with { type: "json" }

const ROOT = join(import.meta.dir, "../..")
const DOCKERFILE = readFileSync(join(ROOT, "Dockerfile"), "utf8").replaceAll(/\\\n\s*/g, "")
const INSTRUCTIONS = DOCKERFILE.split("\n").flatMap((line) => {
  const match = /^([A-Z]+) (.*)$/.exec(line)
  return match === null ? [] : [{ name: match[1]!, text: match[2]! }]
})
const LAST_STAGE = INSTRUCTIONS.slice(INSTRUCTIONS.findLastIndex(({ name }) => name === "FROM"))

function last(name: string): string {
  return LAST_STAGE.findLast((instruction) => instruction.name === name)?.text ?? ""
}

test("the image runs as a numeric user that is not root", () => {
  expect(last("USER")).toMatch(/^[1-9]\d*:[1-9]\d*$/)
})

test("Bun is the first process, so that signals reach it, and the default is to serve /policies", () => {
  expect(JSON.parse(last("ENTRYPOINT"))).toEqual(["bun", "--no-install", "/app/src/main.ts"])
  expect(JSON.parse(last("CMD"))).toEqual(["serve", "/policies"])
})

test("the health check asks the gateway of /policies by the same entry point", () => {
  const command = last("HEALTHCHECK").replace(/^.*CMD /, "")
  expect(JSON.parse(command)).toEqual([...JSON.parse(last("ENTRYPOINT")), "status", "--ready", "/policies"])
})

test("the Bun of the image is the one that the package asks for", () => {
  const version = /BUN_VERSION=(\S+)/.exec(DOCKERFILE)?.[1]
  expect(version).toBe(manifest.devDependencies["@types/bun"])
  expect(Bun.semver.satisfies(version!, manifest.engines.bun)).toBe(true)
})

test("everything that is copied exists and is let through by .dockerignore", () => {
  const allowed = readFileSync(join(ROOT, ".dockerignore"), "utf8").trim().split("\n")
  expect(allowed[0]).toBe("*")
  const copied = INSTRUCTIONS.filter(({ name, text }) => name === "COPY" && !text.startsWith("--from"))
  const sources = copied.flatMap(({ text }) => text.split(" ").slice(0, -1))
  expect(sources).toContain("src")
  for (const source of sources) {
    expect(existsSync(join(ROOT, source))).toBe(true)
    expect(allowed).toContain(`!${source}`)
  }
})

test("the image's hello listens where other machines reach it", async () => {
  const edit = /sed -i '([^']+)' \/policies\/hello\.ts/.exec(DOCKERFILE)?.[1]
  const edited = await Bun.spawn(["sed", edit!, join(ROOT, "policies/hello.ts")]).stdout.text()
  expect(edited).toContain('listen = "tcp://:9000"')
  expect(LAST_STAGE.find(({ name }) => name === "EXPOSE")?.text).toBe("9000")
})

test("nothing is fetched but by the package managers", () => {
  expect(DOCKERFILE).not.toMatch(/https?:|curl|wget|^ADD /m)
})

/** `buildah` with its global options, and options of the build that only this machine needs. */
const BUILDAH = (process.env["TIDEGATE_BUILDAH"] ?? "buildah").split(" ")
const BUILD_OPTIONS = (process.env["TIDEGATE_BUILD_OPTIONS"] ?? "").split(" ").filter((option) => option !== "")
const canBuild =
  process.env["TIDEGATE_IMAGE_TEST"] === "1" && Bun.which(BUILDAH[0]!) !== null && process.getuid?.() === 0
if (!canBuild)
  console.log("skipped: building the image (as root, with buildah and TIDEGATE_IMAGE_TEST=1, it is built and run)")

/** A build fetches and unpacks packages. */
const BUILD_MS = 600_000
const RUN_MS = 30_000

describe.skipIf(!canBuild)("the built image", () => {
  const name = `tidegate-test-${process.pid}`
  let policies = ""
  let image = ""

  beforeAll(async () => {
    await buildah("bud", "--isolation", "chroot", "--format", "docker", "--layers", ...BUILD_OPTIONS, "-t", name, ROOT)
    await buildah("from", "--name", name, `localhost/${name}`)
    image = (await buildah("mount", name)).trim()
    policies = mkdtempSync(join(tmpdir(), "tidegate-image-"))
    // A folder as `git clone` leaves it: another owner, readable by everyone.
    chmodSync(policies, 0o755)
    writeFileSync(
      join(policies, "answer.ts"),
      'import { respond } from "tidegate"\nexport const listen = "tcp://127.0.0.1:0"\nexport const on_tcp_connect = () => respond("from the mount\\n")\n',
    )
  }, BUILD_MS)

  afterAll(async () => {
    rmSync(policies, { recursive: true })
    await buildah("rm", name)
    await buildah("rmi", `localhost/${name}`)
  }, BUILD_MS)

  const main = JSON.parse(last("ENTRYPOINT")) as string[]

  /** Starts a container with the arguments of `docker run IMAGE ...`. */
  function run(mounted: string, ...args: string[]) {
    const script = join(import.meta.dir, "image-run.sh")
    const child = Bun.spawn(["bash", script, image, mounted, ...main, ...args], { stdout: "pipe", stderr: "pipe" })
    // What waits for the container ignores SIGTERM; when it is gone, so is the container.
    return Object.assign(child, { [Symbol.dispose]: () => child.kill("SIGKILL") })
  }

  test(
    "serves its own policy read-only as a user without rights, is healthy, and drains on SIGTERM",
    async () => {
      using container = run("-", ...(JSON.parse(last("CMD")) as string[]))
      await ready(container.stderr)
      const pid = firstProcess(container.pid)
      expect(await inside(pid, ...main, "status", "--ready", "/policies")).toEqual({ out: "ready\n", err: "", code: 0 })
      expect((await inside(pid, "touch", "/tmp/x")).err).toContain("Read-only file system")
      expect((await inside(pid, "cat", "/proc/1/comm")).out).toBe("bun\n")
      expect(await greeting(9000)).toBe("Hello 127.0.0.1, this is Tidegate.\n")
      process.kill(Number(pid), "SIGTERM")
      expect(await container.exited).toBe(0)
      expect(JSON.parse(await container.stdout.text()).object.close).toEqual({ reason: "answered", by: "gateway" })
    },
    RUN_MS,
  )

  test(
    "serves and checks a mounted folder",
    async () => {
      const check = run(policies, "check", "/policies")
      expect(await check.stdout.text()).toContain("answer.ts")
      expect(await check.exited).toBe(0)
      using container = run(policies, "serve", "/policies")
      const port = /nc 127\.0\.0\.1 (\d+)/.exec(await ready(container.stderr))?.[1]
      expect(await greeting(Number(port))).toBe("from the mount\n")
    },
    RUN_MS,
  )

  test("holds no sources or maps of packages, and no package manager", () => {
    expect(existsSync(join(image, "app/node_modules/effect/src"))).toBe(false)
    expect(Array.from(new Bun.Glob("**/*.map").scanSync({ cwd: join(image, "app") }))).toEqual([])
    expect(existsSync(join(image, "usr/bin/npm"))).toBe(false)
  })
})

async function buildah(...args: string[]): Promise<string> {
  const child = Bun.spawn([...BUILDAH, ...args], { stdout: "pipe", stderr: "pipe" })
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()])
  if ((await child.exited) !== 0) throw new Error(`buildah ${args[0]}: ${(out + err).slice(-2000)}`)
  return out
}

function greeting(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ""
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: { data: (_socket, chunk) => void (text += chunk.toString()), close: () => resolve(text) },
    }).catch(reject)
  })
}

/** Resolves with everything on stderr until the gateway says that it is ready. */
async function ready(stderr: ReadableStream<Uint8Array>): Promise<string> {
  let text = ""
  for await (const chunk of stderr) {
    text += new TextDecoder().decode(chunk)
    if (text.includes('"ready')) return text
  }
  throw new Error(`never ready: ${text}`)
}

/** The first process of the container, as this machine numbers it. */
function firstProcess(unshare: number): string {
  return readFileSync(`/proc/${unshare}/task/${unshare}/children`, "utf8").trim()
}

/** A command inside the running container, as its user. */
async function inside(pid: string, ...command: string[]) {
  const enter = ["nsenter", "-t", pid, "-m", "-p", "-r", "-w", "--setuid", "65532", "--setgid", "65532"]
  const child = Bun.spawn([...enter, "env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin", ...command], {
    stdout: "pipe",
    stderr: "pipe",
  })
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()])
  return { out, err, code: await child.exited }
}
