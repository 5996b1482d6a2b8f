// The one shape of everything that can go wrong.

/** A problem document (RFC 9457) of the server, or what keeps it from sending one. */
export class Problem extends Error {
  constructor({ status = 0, name, title, detail = "", field = null, retryAfter = null, body = null }) {
    super(title);
    Object.assign(this, { status, name, title, detail, field, retryAfter, body });
  }

  /** Whether asking once more can help. */
  get passes() { return this.status === 0 || this.status === 429 || this.status >= 500; }

  /** Whether a command may have been booked all the same. Another 503 of ours says that nothing was. */
  get isUncertain() { return this.status === 0 || (this.status >= 500 && !["event-store-unavailable", "stream-unreadable"].includes(this.name)); }
}
