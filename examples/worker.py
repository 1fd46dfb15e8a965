#!/usr/bin/env python3
"""A worker of Agent Hive in Python, standard library only.

Leases by long poll, heartbeats while it works, ends when a cancel is asked, survives a busy or absent hive, and on
SIGTERM finishes what it holds. Kind `wordcount` counts the words of `input.text`; anything else gets its input back.
`input.work_ms` makes it take that long, to watch heartbeats and cancels.
"""

import argparse
import http.client
import json
import os
import random
import signal
import socket
import threading
import time
import urllib.parse


class Unavailable(Exception):
    """No connection, 429 or 503: the same call may work later. Every call below is safe to repeat."""


class Refused(Exception):
    """The hive says no, for good: the text is its problem document."""


class Hive:
    def __init__(self, server, token):
        self.address, self.token, self.connection = urllib.parse.urlsplit(server).netloc, token, None

    def call(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", "Connection": "close"}
        connection = self.connection = http.client.HTTPConnection(self.address, timeout=40)
        try:
            connection.request(method, "/api/v2" + path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            status, text = answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()
        if status in (429, 503):
            raise Unavailable(text)
        if status >= 400:
            raise Refused(text)
        return json.loads(text)

    def insist(self, seconds, stop, *request):
        """Repeats a call with growing pauses, for so many seconds or until `stop`."""
        pause, deadline = 0.1, time.monotonic() + seconds
        while True:
            try:
                return self.call(*request)
            except Unavailable as error:
                if stop.is_set() or time.monotonic() > deadline:
                    raise
                print(f"trying again: {error}", flush=True)
            stop.wait(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, 10)


def agent_id(hive, name, capacity, stop):
    """The agent of that name; registers it when it is missing."""
    cursor = ""
    while cursor is not None:
        page = hive.insist(60, stop, "GET", "/agents?limit=200" + (f"&cursor={cursor}" if cursor else ""))
        for agent in page["items"]:
            if agent["name"] == name:
                return agent["id"]
        cursor = page["next_cursor"]
    return hive.insist(60, stop, "POST", "/agents", {"name": name, "capacity": capacity})["id"]


def work(assignment, canceled):
    """The work itself; returns the result. Looks at `canceled` as often as it can."""
    given = assignment["input"] if isinstance(assignment["input"], dict) else {}
    canceled.wait(given.get("work_ms", 0) / 1000)
    if assignment["kind"] == "wordcount":
        if not isinstance(given.get("text"), str):
            raise ValueError("input.text must be a string")
        return {"words": len(given["text"].split())}
    return assignment["input"]


def beat(hive, assignment, over, canceled):
    """Renews the lease until `over`. A call that fails is no harm: the lease outlives a few."""
    while not over.wait(min(assignment["lease_ttl_ms"] / 3000, 2)):
        try:
            lease = hive.call("POST", f"/tasks/{assignment['task_id']}/heartbeat", {"attempt": assignment["attempt"]})
            if lease["cancel_requested"]:
                canceled.set()
        except Refused:  # 409: the attempt is not ours any more
            canceled.set()
        except Unavailable:
            pass


def attempt(server, token, assignment):
    """One attempt from the assignment to the report."""
    over, canceled = threading.Event(), threading.Event()
    beats = threading.Thread(target=beat, args=(Hive(server, token), assignment, over, canceled))
    beats.start()
    report, verb = {"attempt": assignment["attempt"]}, "complete"
    try:
        report["result"] = work(assignment, canceled)
    except Exception as error:  # whatever the work does wrong is the task's failure and not the worker's end
        verb, report["error"] = "fail", {"kind": type(error).__name__.lower(), "message": str(error)}
        report["retryable"] = not isinstance(error, ValueError)  # a wrong input stays wrong
    if canceled.is_set():
        report = {"attempt": assignment["attempt"], "error": {"kind": "canceled", "message": "ended when asked to"}}
        verb = "fail"
    over.set()
    beats.join()
    try:
        path = f"/tasks/{assignment['task_id']}/{verb}"
        state = Hive(server, token).insist(assignment["lease_ttl_ms"] / 1000, threading.Event(), "POST", path, report)
        print(f"{assignment['task_id']} attempt {assignment['attempt']}: {state['state']}", flush=True)
    except (Refused, Unavailable) as error:  # lost: the hive gives the task to somebody else
        print(f"{assignment['task_id']} attempt {assignment['attempt']}: not reported: {error}", flush=True)


def announced(folder):
    """Where the hive of that data folder says it answers."""
    try:
        with open(os.path.join(folder, "server.json"), encoding="utf-8") as file:
            return json.load(file)["url"]
    except FileNotFoundError:
        return "http://127.0.0.1:18080"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--server", help="its address; found beside the token when missing")
    options.add_argument("--token-file", default="hive-data/admin.token")
    options.add_argument("--agent", default="worker-py", help="its name; registered when missing")
    options.add_argument("--capacity", type=int, default=4, help="assignments at a time")
    asked = options.parse_args()
    with open(asked.token_file, encoding="ascii") as file:
        token = file.read().strip()
    server = asked.server or os.environ.get("HIVE_SERVER") or announced(os.path.dirname(asked.token_file))
    hive, stopping, held = Hive(server, token), threading.Event(), []

    def stop(_signal, _frame):
        # Ends the long poll. What has arrived already can still be read, so no assignment is lost.
        stopping.set()
        if hive.connection is not None and hive.connection.sock is not None:
            hive.connection.sock.shutdown(socket.SHUT_RDWR)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        agent = agent_id(hive, asked.agent, asked.capacity, stopping)
        print(f"working as {agent}", flush=True)
        while not stopping.is_set():
            held = [thread for thread in held if thread.is_alive()]
            if len(held) >= asked.capacity:
                held[0].join(0.05)
                continue
            call = {"max": asked.capacity - len(held), "wait_ms": 20_000, "worker_instance": f"pid-{os.getpid()}"}
            leased = hive.insist(float("inf"), stopping, "POST", f"/agents/{agent}/lease", call)
            for assignment in leased["assignments"]:
                held.append(threading.Thread(target=attempt, args=(server, token, assignment)))
                held[-1].start()
    except Unavailable:  # only after SIGTERM or a minute without a hive
        if not stopping.is_set():
            raise
    for thread in held:
        thread.join()


if __name__ == "__main__":
    main()
