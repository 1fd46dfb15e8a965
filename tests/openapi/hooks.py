"""What a schema cannot say about requests, and the places where a check asks for something else than the contract.

Nothing here hides a request that is against the rules: `before_call` changes only those that are meant to be within them,
and `filter_failure` looks at the answer before it drops anything.
"""

import json
import os

import schemathesis

WORKER = os.environ["HIVE_CONTRACT_WORKER"]  # the id of an agent that is there
DISTANT = "2099-01-01T00:00:00Z"
# Each item of these has its own answer, within a 200.
BULK = {"/api/v2/tasks/bulk", "/api/v2/leases/complete", "/api/v2/dead-letters/redrive"}


def _is_within_the_rules(case):
    return case.meta is None or not case.meta.generation.mode.is_negative


def _tasks(case):
    if not isinstance(case.body, dict):
        return []
    if case.operation.path == "/api/v2/tasks":
        return [case.body]
    tasks = case.body.get("tasks") if case.operation.path == "/api/v2/tasks/bulk" else None
    return [task for task in tasks or [] if isinstance(task, dict)]


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.operation.path
    if isinstance(case.query, dict):
        # A stream lasts as long as its task. tests/api_output.rs has the streams.
        if str(case.query.get("follow", "")).lower() == "true":
            del case.query["follow"]
        # Of these two only one may stand, and OpenAPI has no word for that between parameters.
        if path == "/api/v2/events" and _is_within_the_rules(case) and "after" in case.query:
            case.query.pop("cursor", None)
    body = case.body
    if not _is_within_the_rules(case) or not isinstance(body, dict):
        return
    # An agent that is named must be there.
    for task in _tasks(case):
        if task.get("agent_id") is not None:
            task["agent_id"] = WORKER
    if path == "/api/v2/auth/keys":
        # The key of an agent names its agent, and no other key does.
        body.pop("agent_id", None)
        if body.get("role") == "agent":
            body["agent_id"] = WORKER
        # An end must lie ahead.
        if body.get("expires_at") is not None:
            body["expires_at"] = DISTANT
    # A process link runs commands on this machine and names programs that must be there: tests/api_process_agents.rs.
    # (The hive under test has an empty PATH besides.)
    if path == "/api/v2/agents" and body.get("link") is not None:
        body["link"] = {"kind": "worker"}
    if path == "/api/v2/agents/{id}":
        body.pop("link", None)
    # A lease call may wait for 30 s; that it does is tested elsewhere.
    if path.endswith("/lease") and body.get("wait_ms"):
        body["wait_ms"] = min(body["wait_ms"], 10)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """False drops a failure: an item against the rules was refused, in the answer that is its own."""
    if case.operation.path in BULK and "AcceptedNegativeData" in type(failure).__name__ and response.status_code == 200:
        items = json.loads(response.content)["items"]
        return not any(item["status"] in (400, 404, 422) for item in items)
    return True
