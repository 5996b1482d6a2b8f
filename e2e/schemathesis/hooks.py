"""What schemathesis does not know by itself. It is told of this file by SCHEMATHESIS_HOOKS."""

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(_, value):
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.check
def a_service_that_cannot_answer_says_when_to_ask_again(_, response, __):
    is_problem = "application/problem+json" in response.headers.get("content-type", [])
    assert response.status_code != 503 or not is_problem or "retry-after" in response.headers, "503 without Retry-After"
