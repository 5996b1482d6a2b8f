// The one shape of everything that can go wrong.

/** A problem document (RFC 9457) of the server, or what keeps it from sending one. */
export class Problem extends Error {
  constructor({ status = 0, name, title, detail = "", field = null, retryAfter = null, body = null }) {
    super(title);
    Object.assign(this, { status, name, title, detail, field, retryAfter, body });
  }

  /** Whether asking once more can help. */
  get passes() { return this.status === 0 || this.status === 429 || this.status >= 500; }

  /**
   * Whether a command may have been booked all the same. A 503 of ours, or of the gateway, says that nothing was, but for two; one
   * without a problem document is of somebody who knows nothing of that.
   */
  get isUncertain() {
    return this.status === 0 || (this.status >= 500 && (this.status !== 503 || ["", "outcome-unknown", "deadline-exceeded"].includes(this.name)));
  }
}
