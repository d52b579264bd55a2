// Loaded before all tests: ends a test process whose event loop is stuck, which no time-out of the runner's can notice.
// The runner says which file that was, and goes on with the others in another process.
import { Watchdog } from "../../src/observe/watchdog.ts"

/** Longer than a test may take, and than any program may that a test waits for without the loop. */
const STUCK_AFTER_MS = 90_000

export const watchdog = new Watchdog({ after: STUCK_AFTER_MS })
