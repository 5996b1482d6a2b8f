"""What the Python client `kurrentdbclient` does to a store, whose address is the argument."""

import sys
from uuid import uuid4

from kurrentdbclient import KurrentDBClient, NewEvent, StreamState
from kurrentdbclient.exceptions import NotFoundError, StreamIsDeletedError, WrongCurrentVersionError


def event(event_type="Happened"):
    return NewEvent(type=event_type, data=b'{"n":1}', metadata=b'{"by":"python"}', id=uuid4())


def refused(error, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error:
        return
    raise AssertionError(f"{error.__name__} was not raised")


def appends(client):
    first, second = event(), event()
    client.append_to_stream("py-a", current_version=StreamState.NO_STREAM, events=[first])
    position = client.append_to_stream("py-a", current_version=0, events=[second])
    assert client.append_to_stream("py-a", current_version=0, events=[second]) == position, "a repeat"
    refused(WrongCurrentVersionError, client.append_to_stream, "py-a", current_version=5, events=[event()])
    refused(WrongCurrentVersionError, client.append_to_stream, "py-a", current_version=0, events=[event()])
    refused(
        WrongCurrentVersionError,
        client.append_to_stream,
        "py-new",
        current_version=StreamState.EXISTS,
        events=[event()],
    )
    client.append_to_stream("py-a", current_version=StreamState.ANY, events=[event()])
    client.append_to_stream("py-a", current_version=StreamState.EXISTS, events=[event(), event("Other")])
    assert client.get_current_version("py-a") == 4
    return first, second


def reads(client, first, second):
    forwards = list(client.get_stream("py-a"))
    assert [e.stream_position for e in forwards] == [0, 1, 2, 3, 4]
    assert (forwards[0].id, forwards[1].id) == (first.id, second.id)
    assert (forwards[0].data, forwards[0].metadata) == (first.data, first.metadata)
    backwards = list(client.get_stream("py-a", backwards=True, limit=2))
    assert [e.stream_position for e in backwards] == [4, 3]
    assert [e.id for e in client.read_all(filter_include=[r"py-a"], filter_by_stream_name=True)] == [
        e.id for e in forwards
    ]
    refused(NotFoundError, lambda: list(client.get_stream("py-nowhere")))


def subscribes(client):
    with client.subscribe_to_all(filter_include=["Other"], include_checkpoints=False) as subscription:
        assert next(subscription).type == "Other"
        client.append_to_stream("py-b", current_version=StreamState.ANY, events=[event(), event("Other")])
        heard = next(subscription)
        assert (heard.stream_name, heard.stream_position) == ("py-b", 1)


def metadata_and_deletions(client):
    client.set_stream_metadata("py-a", metadata={"$maxCount": 2, "mine": "x"})
    metadata, version = client.get_stream_metadata("py-a")
    assert (metadata["$maxCount"], metadata["mine"], version) == (2, "x", 0)
    assert [e.stream_position for e in client.get_stream("py-a")] == [3, 4]
    refused(WrongCurrentVersionError, client.delete_stream, "py-a", current_version=1)
    client.delete_stream("py-a", current_version=4)
    refused(NotFoundError, lambda: list(client.get_stream("py-a")))
    client.append_to_stream("py-a", current_version=StreamState.NO_STREAM, events=[event()])
    assert [e.stream_position for e in client.get_stream("py-a")] == [5]
    client.tombstone_stream("py-b", current_version=StreamState.ANY)
    refused(StreamIsDeletedError, lambda: list(client.get_stream("py-b")))
    refused(
        StreamIsDeletedError,
        client.append_to_stream,
        "py-b",
        current_version=StreamState.ANY,
        events=[event()],
    )
    assert list(client.list_subscriptions()) == []


client = KurrentDBClient(f"esdb://{sys.argv[1]}?tls=false")
first, second = appends(client)
reads(client, first, second)
subscribes(client)
metadata_and_deletions(client)
client.close()
print("all of it works")
