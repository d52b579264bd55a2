// Waiting for what announces itself by no event. The limit is the test's own time-out.

/** How often the condition is looked at. */
const LOOK_EVERY = 2

/** Resolves as soon as the condition holds. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await Bun.sleep(LOOK_EVERY)
}
