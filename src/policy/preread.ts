// What reading ahead of the decision may cost, and how it fails. Each failure knows its close reason, so that a
// policy which does not catch it still ends the connection under the right name.

/** 16 KiB: what a policy may ask for; a post-quantum ClientHello is about 1.7 KB, the largest seen 11 KB. */
export const PREREAD_LIMIT = 16_384

/** 3 seconds: how long a client may take for the bytes that a policy asked for. */
export const PREREAD_DEADLINE = 3000

/** `peek` waited for more bytes than came in time. */
export class PrereadTimeout extends Error {
  override readonly name = "PrereadTimeout"
  readonly closeReason = "preread-timeout"
}

/** `peek` was asked for more than {@link PREREAD_LIMIT}. */
export class PrereadTooLarge extends Error {
  override readonly name = "PrereadTooLarge"
  readonly closeReason = "preread-too-large"
}
