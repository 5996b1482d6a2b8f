// What the Node client `@kurrent/kurrentdb-client` does to a store, whose address is the argument.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { randomUUID } from "node:crypto";

// The client is installed beside the build, not beside this file.
const require = createRequire(`${process.argv[3]}/`);
const kurrent = require("@kurrent/kurrentdb-client");
const { ANY, BACKWARDS, END, KurrentDBClient, NO_STREAM, STREAM_EXISTS, jsonEvent } = kurrent;
const { StreamDeletedError, StreamNotFoundError, WrongExpectedVersionError, streamNameFilter } = kurrent;

const event = (type = "Happened") => jsonEvent({ id: randomUUID(), type, data: { n: 1 }, metadata: { by: "node" } });
const all = async (events) => {
  const found = [];
  for await (const resolved of events) found.push(resolved.event);
  return found;
};
const revisions = (events) => events.map((event) => Number(event.revision));

async function appends(client) {
  const [first, second] = [event(), event()];
  await client.appendToStream("js-a", [first], { streamState: NO_STREAM });
  const written = await client.appendToStream("js-a", [second], { streamState: 0n });
  const repeated = await client.appendToStream("js-a", [second], { streamState: 0n });
  assert.deepEqual([repeated.nextExpectedRevision, repeated.position], [written.nextExpectedRevision, written.position]);
  const conflict = (stream, streamState) =>
    assert.rejects(client.appendToStream(stream, [event()], { streamState }), WrongExpectedVersionError);
  await conflict("js-a", 5n);
  await conflict("js-a", NO_STREAM);
  await conflict("js-new", STREAM_EXISTS);
  await client.appendToStream("js-a", [event()], { streamState: ANY });
  await client.appendToStream("js-a", [event(), event("Other")], { streamState: STREAM_EXISTS });
  return [first, second];
}

async function reads(client, first, second) {
  const forwards = await all(client.readStream("js-a"));
  assert.deepEqual(revisions(forwards), [0, 1, 2, 3, 4]);
  assert.deepEqual([forwards[0].id, forwards[1].id], [first.id, second.id]);
  assert.deepEqual([forwards[0].data, forwards[0].metadata], [first.data, first.metadata]);
  const backwards = await all(client.readStream("js-a", { direction: BACKWARDS, fromRevision: END, maxCount: 2 }));
  assert.deepEqual(revisions(backwards), [4, 3]);
  const ofAll = (await all(client.readAll())).filter((event) => event.streamId === "js-a");
  assert.deepEqual(ofAll.map((event) => event.id), forwards.map((event) => event.id));
  await assert.rejects(all(client.readStream("js-nowhere")), StreamNotFoundError);
}

async function subscribes(client) {
  const subscription = client.subscribeToAll({ filter: streamNameFilter({ prefixes: ["js-b"] }) });
  await client.appendToStream("js-other", [event()], { streamState: ANY });
  await client.appendToStream("js-b", [event(), event()], { streamState: ANY });
  const heard = [];
  for await (const { event } of subscription) {
    heard.push([event.streamId, Number(event.revision)]);
    if (heard.length === 2) break;
  }
  assert.deepEqual(heard, [["js-b", 0], ["js-b", 1]]);
  await subscription.unsubscribe();
}

async function metadataAndDeletions(client) {
  await client.setStreamMetadata("js-a", { maxCount: 2, mine: "x" });
  const { metadata } = await client.getStreamMetadata("js-a");
  assert.deepEqual([metadata.maxCount, metadata.mine], [2, "x"]);
  assert.deepEqual(revisions(await all(client.readStream("js-a"))), [3, 4]);
  await client.deleteStream("js-a", { expectedRevision: 4n });
  await assert.rejects(all(client.readStream("js-a")), StreamNotFoundError);
  await client.appendToStream("js-a", [event()], { streamState: NO_STREAM });
  assert.deepEqual(revisions(await all(client.readStream("js-a"))), [5]);
  await client.tombstoneStream("js-b");
  await assert.rejects(all(client.readStream("js-b")), StreamDeletedError);
  await assert.rejects(client.appendToStream("js-b", [event()], { streamState: ANY }), StreamDeletedError);
}

const client = KurrentDBClient.connectionString(`esdb://${process.argv[2]}?tls=false`);
const [first, second] = await appends(client);
await reads(client, first, second);
await subscribes(client);
await metadataAndDeletions(client);
await client.dispose();
console.log("all of it works");
process.exit(0);
