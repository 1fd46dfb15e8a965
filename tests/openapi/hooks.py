"""What a schema cannot say about requests, and the places where a check asks for something else than the contract.

Nothing here hides a request that is against the rules: `before_call` changes only those that are meant to be within them,
and `filter_failure` looks at the answer before it drops anything.
"""

import json
import os

import requests
import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

WORKER = os.environ["HIVE_CONTRACT_WORKER"]  # the id of an agent that is there
HIVE = os.environ["HIVE_CONTRACT_URL"]
TOKEN = os.environ["HIVE_CONTRACT_TOKEN"]
DISTANT = "2099-01-01T00:00:00Z"
# Each item of these has its own answer, within a 200.
BULK = {"/api/v2/tasks/bulk", "/api/v2/leases/complete", "/api/v2/dead-letters/redrive"}
REPORTS = ("/heartbeat", "/output", "/complete", "/fail")

session = requests.Session()
session.headers["Authorization"] = f"Bearer {TOKEN}"


def _post(path, body):
    answer = session.post(f"{HIVE}/api/v2{path}", json=body, timeout=20)
    answer.raise_for_status()
    return answer.json()


def _leased():
    """A task that the worker holds."""
    task = _post("/tasks", {"title": "held", "agent_id": WORKER, "attempts_max": 1, "priority": 9})["id"]
    held = _post(f"/agents/{WORKER}/lease", {"max": 1000})["assignments"]
    assert task in [assignment["task_id"] for assignment in held], f"{task} is not among {held}"
    # The worker has as much to do as it may, unless what came along with it goes back.
    for assignment in held:
        if assignment["task_id"] != task:
            _post(f"/tasks/{assignment['task_id']}/complete", {"attempt": assignment["attempt"]})
    return task


def _dead():
    task = _leased()
    _post(f"/tasks/{task}/fail", {"attempt": 1, "error": {"kind": "k", "message": "m"}})
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
    if not _is_within_the_rules(case):
        return
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
            task["agent_id"] = WORKER
        # What nobody may take cannot be leased, and the links of a lease have nothing to follow.
        if _is_linked(case):
            for field in ("agent_id", "requires", "delay_ms", "eligible_at"):
                task.pop(field, None)
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


def _give_something_to_report(case, path, body):
    """Reports and retries reach their own work only with a task in the right state: each has one."""
    if path.startswith("/api/v2/tasks/{id}/") and path.endswith(REPORTS) and body is not None:
        case.path_parameters["id"] = _leased()
        body["attempt"] = 1
    elif path == "/api/v2/tasks/{id}/retry":
        case.path_parameters["id"] = _dead()


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """False drops a failure."""
    # An item against the rules was refused, in the answer that is its own.
    if case.operation.path in BULK and "AcceptedNegativeData" in type(failure).__name__ and response.status_code == 200:
        items = json.loads(response.content)["items"]
        return not any(item["status"] in (400, 404, 422) for item in items)
    # The same key came with two bodies, each of them within the rules. That is 422 by the draft of the header, too.
    if isinstance(failure, RejectedPositiveData) and response.status_code == 422:
        return json.loads(response.content)["code"] != "idempotency_mismatch"
    return True
