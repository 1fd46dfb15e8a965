"""What a schema cannot say about requests, and the places where a check asks for something else than the contract.

Nothing here hides a request that is against the rules: `before_call` changes only those that are meant to be within them,
and `filter_failure` looks at the answer before it drops anything.
"""

import itertools
import json
import os
import re

import requests
import schemathesis

HIVE = os.environ["HIVE_CONTRACT_URL"]
TOKEN = os.environ["HIVE_CONTRACT_TOKEN"]
DISTANT = "2099-01-01T00:00:00Z"
# Each item of these has its own answer, within a 200.
BULK = {"/api/v2/tasks/bulk", "/api/v2/leases/complete", "/api/v2/dead-letters/redrive"}
REPORTS = ("/heartbeat", "/output", "/complete", "/fail")

numbers = itertools.count()
keys = set()
session = requests.Session()
session.headers["Authorization"] = f"Bearer {TOKEN}"


def _post(path, body):
    answer = session.post(f"{HIVE}/api/v2{path}", json=body, timeout=20)
    answer.raise_for_status()
    return answer.json()


def _worker():
    """An agent of its own: what is there already may be drained or removed by now."""
    return _post("/agents", {"name": f"own-{next(numbers)}"})["id"]


def _leased():
    """A task that a worker holds, and which attempt that is."""
    worker = _worker()
    # In a queue of its own: `default` may be paused by now.
    _post("/tasks", {"title": "held", "agent_id": worker, "queue": f"own-{next(numbers)}"})
    held = _post(f"/agents/{worker}/lease", {"wait_ms": 15_000})["assignments"][0]
    return held["task_id"], held["attempt"]


def _dead():
    """A dead letter."""
    task, attempt = _leased()
    error = {"kind": "k", "message": "m"}
    _post(f"/tasks/{task}/fail", {"attempt": attempt, "error": error, "retryable": False})
    return task


def _is_within_the_rules(case):
    return case.meta is None or not case.meta.generation.mode.is_negative


def _is_linked(case):
    """Whether it takes its ids from an answer before it."""
    return case.meta is not None and case.meta.phase.name.value == "stateful"


def _tasks(case):
    if not isinstance(case.body, dict):
        return []
    if case.operation.path == "/api/v2/tasks":
        return [case.body]
    tasks = case.body.get("tasks") if case.operation.path == "/api/v2/tasks/bulk" else None
    return [task for task in tasks or [] if isinstance(task, dict)]


@schemathesis.hook
def before_call(context, case, kwargs):
    path, method = case.operation.path, case.method.upper()
    # A stream lasts as long as its task. tests/api_output.rs has the streams.
    if isinstance(case.query, dict) and str(case.query.get("follow", "")).lower() == "true":
        del case.query["follow"]
    # A key that comes again with another body is refused, as it should be: each request has its own.
    key = (case.headers or {}).get("Idempotency-Key")
    if key is not None:
        bare = (path, key.strip().strip('"'))
        if bare in keys and _is_within_the_rules(case):
            case.headers["Idempotency-Key"] = f"key-{next(numbers)}"
        keys.add(bare)
    if not _is_within_the_rules(case):
        return
    # schemathesis hands on ids of other answers, whatever the pattern of a header says.
    if case.headers and not re.fullmatch(r"[0-9]{1,9}\.[0-9]{1,9}", case.headers.get("Last-Event-ID", "1.0")):
        del case.headers["Last-Event-ID"]
    # Of these two only one may stand, and OpenAPI has no word for that between parameters.
    if isinstance(case.query, dict) and "after" in case.query:
        case.query.pop("cursor", None)
    body = case.body if isinstance(case.body, dict) else None
    if method == "POST" and not _is_linked(case):
        _give_something_to_report(case, path, body)
    if body is None:
        return
    for task in _tasks(case):
        # An agent that is named must be there.
        if task.get("agent_id") is not None:
            task["agent_id"] = _worker()
        # What nobody may take cannot be leased, and the links of a lease have nothing to follow.
        if _is_linked(case):
            for field in ("agent_id", "requires", "delay_ms", "eligible_at"):
                task.pop(field, None)
    if path == "/api/v2/auth/keys":
        # The key of an agent names its agent, and no other key does.
        body.pop("agent_id", None)
        if body.get("role") == "agent":
            body["agent_id"] = _worker()
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


def _give_something_to_report(case, path, body):
    """Reports and retries reach their own work only with a task in the right state: each has one."""
    if path.startswith("/api/v2/tasks/{id}/") and path.endswith(REPORTS) and body is not None:
        case.path_parameters["id"], body["attempt"] = _leased()
    elif path == "/api/v2/tasks/{id}/retry":
        case.path_parameters["id"] = _dead()


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """False drops a failure."""
    # An item against the rules was refused, in the answer that is its own.
    if case.operation.path in BULK and "AcceptedNegativeData" in type(failure).__name__ and response.status_code == 200:
        items = json.loads(response.content)["items"]
        return not any(item["status"] in (400, 404, 422) for item in items)
    return True
