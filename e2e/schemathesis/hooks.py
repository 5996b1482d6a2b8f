"""What schemathesis does not know by itself. It is told of this file by SCHEMATHESIS_HOOKS."""

import time
from urllib.parse import parse_qs, urlsplit

import requests
import schemathesis

BEHIND = "urn:bookstock:problem:projection-behind"
OUT = "urn:bookstock:problem:read-model-unavailable"


@schemathesis.serializer("application/x-ndjson")
def ndjson(_, value):
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.check
def a_service_that_cannot_answer_says_when_to_ask_again(_, response, __):
    is_problem = "application/problem+json" in response.headers.get("content-type", [])
    assert response.status_code != 503 or not is_problem or "retry-after" in response.headers, "503 without Retry-After"


@schemathesis.check
def nothing_is_refused_but_a_position_that_is_not_reached(_, response, __):
    """All that the services need is there."""
    if response.status_code == 503 and response.json()["type"] == OUT:
        # A machine that stood still for longer than a query may take. It does not do so again.
        time.sleep(1)
        with requests.Session() as session:
            response = session.send(response.request, timeout=60)
    if response.status_code != 503:
        return
    problem = response.json()
    assert problem["type"] == BEHIND, f"503 {problem['type']}"
    query = parse_qs(urlsplit(response.request.url).query)
    asked = [value for name in ("minPosition", "asOf") for value in query.get(name, [])]
    positions = [int(value) for value in asked if value.isascii() and value.isdigit()]
    assert max(positions, default=0) > int(problem["position"]), f"503, but {problem['position']} is reached"
