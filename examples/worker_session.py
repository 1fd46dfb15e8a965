#!/usr/bin/env python3
"""A worker of Agent Hive over one WebSocket, with the library `websockets` (pip install websockets).

Work is pushed into open slots, reports go back over the same connection. Survives a broken connection and an absent hive:
what it holds goes on meanwhile, and what was not acknowledged is reported again. Kind `wordcount` counts the words of
`input.text`; anything else gets its input back. `input.work_ms` makes it take that long.
"""

import argparse
import asyncio
import http.client
import json
import random
import socket
import sys
import urllib.error
import urllib.parse
import urllib.request

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException


class Worker:
    def __init__(self, slots):
        self.slots, self.socket, self.tasks = slots, None, set()
        self.pause, self.extra = 0.1, 0  # before it connects again; assignments that took no slot
        self.running, self.unsaid = {}, {}  # by task and attempt: the event that ends it; its report

    async def work(self, assignment):
        """The work itself; returns the result."""
        given = assignment["input"] if isinstance(assignment["input"], dict) else {}
        await asyncio.sleep(given.get("work_ms", 0) / 1000)
        if assignment["kind"] == "wordcount":
            return {"words": len(given["text"].split())}
        return assignment["input"]

    async def attempt(self, key, assignment):
        """One attempt, from the assignment to its report."""
        report = {"task_id": assignment["task_id"], "attempt": assignment["attempt"]}
        work, asked = asyncio.ensure_future(self.work(assignment)), asyncio.ensure_future(self.running[key].wait())
        await asyncio.wait((work, asked), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not work.done():
            work.cancel()
            report["error"] = {"kind": "canceled", "message": "ended when asked to"}
        elif error := work.exception():  # the task's failure and not the worker's end
            report["error"] = {"kind": type(error).__name__.lower(), "message": str(error)}
        else:
            report["result"] = work.result()
        del self.running[key]
        self.unsaid[key] = report
        await self.say(type="fail" if "error" in report else "complete", items=[report])

    async def say(self, **frame):
        """Sends a frame, if there is a connection; what matters is said again on the next one."""
        try:
            await self.socket.send(json.dumps(frame))
        except WebSocketException:
            pass

    async def tell(self):
        """Reports what has ended and is not acknowledged yet."""
        for kind, has_failed in (("complete", False), ("fail", True)):
            items = [report for report in self.unsaid.values() if ("error" in report) == has_failed]
            for first in range(0, len(items), 256):
                await self.say(type=kind, items=items[first : first + 256])

    async def beat(self):
        """Keeps the leases alive."""
        while True:
            items = [{"task_id": task, "attempt": attempt} for task, attempt in self.running]
            for first in range(0, len(items), 256):
                await self.say(type="heartbeat", items=items[first : first + 256])
            await asyncio.sleep(2)

    async def hear(self, frame):
        if frame["type"] == "assignments":
            for item in frame["items"]:
                key = (item["task_id"], item["attempt"])
                # What was taken up again may be running still, or be done.
                if key not in self.running and key not in self.unsaid:
                    self.extra += frame["resumed"]
                    self.running[key] = asyncio.Event()
                    print(f"{item['task_id']} attempt {item['attempt']}: begins", flush=True)
                    self.tasks.add(attempt := asyncio.create_task(self.attempt(key, item)))
                    attempt.add_done_callback(self.tasks.discard)
            named = [{"task_id": item["task_id"], "attempt": item["attempt"]} for item in frame["items"]]
            # The sign of life that says: they have arrived.
            await self.say(type="heartbeat", items=named)
        elif frame["type"] == "ack" and frame["of"] in ("complete", "fail"):
            for item in frame["items"]:
                # 503 and 429 are no answer: it is reported again. Everything else is final; 409: it was somebody else's.
                if item["status"] in (429, 503):
                    asyncio.get_running_loop().call_later(1, lambda: asyncio.create_task(self.tell()))
                elif self.unsaid.pop((item["task_id"], item["attempt"]), None):
                    print(f"{item['task_id']} attempt {item['attempt']}: {item.get('state', item['status'])}", flush=True)
                    # What was taken up again took no slot, and gives none back.
                    if self.extra:
                        self.extra -= 1
                    else:
                        await self.say(type="ready", slots=1)
        elif frame["type"] == "cancel":
            for item in frame["items"]:
                if running := self.running.get((item["task_id"], item["attempt"])):
                    running.set()
        elif frame["type"] == "error":
            print(f"refused: {frame['message']}", flush=True)

    async def session(self, url, token):
        headers = {"Authorization": f"Bearer {token}"}
        # An input may be as large as 1 MiB, beside everything else in its frame.
        async with connect(url, additional_headers=headers, max_size=4 << 20) as self.socket:
            print("connected", flush=True)
            self.pause, self.extra = 0.1, 0
            await self.tell()
            await self.say(type="ready", slots=max(self.slots - len(self.running) - len(self.unsaid), 0))
            beats = asyncio.create_task(self.beat())
            try:
                async for text in self.socket:
                    await self.hear(json.loads(text))
            finally:
                beats.cancel()


def call(server, token, path, body=None):
    """One request over HTTP, for what comes before the session."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{server}/api/v2{path}", body and json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def again(error, status, text):
    """Says why it tries again, or ends: what is wrong with a request stays wrong."""
    if status < 500 and status != 429:
        sys.exit(f"the hive says no: {text.decode(errors='replace')}")
    print(f"connecting again: {error}", flush=True)


def agent_id(server, token, name, capacity):
    """The agent of that name; registers it when it is missing."""
    cursor = ""
    while cursor is not None:
        page = call(server, token, "/agents?limit=200" + (f"&cursor={cursor}" if cursor else ""))
        for agent in page["items"]:
            if agent["name"] == name:
                return agent["id"]
        cursor = page["next_cursor"]
    return call(server, token, "/agents", {"name": name, "capacity": capacity})["id"]


async def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--server", default="http://127.0.0.1:18080")
    options.add_argument("--token-file", default="hive-data/admin.token")
    options.add_argument("--agent", default="worker-session-py", help="its name; registered when missing")
    options.add_argument("--slots", type=int, default=4, choices=range(1, 1001), metavar="1-1000", help="assignments at a time")
    asked = options.parse_args()
    with open(asked.token_file, encoding="ascii") as file:
        token = file.read().strip()
    server, me = asked.server.rstrip("/"), f"{socket.gethostname()}-{random.getrandbits(32):08x}"
    worker, agent = Worker(asked.slots), None
    while True:
        try:
            agent = agent or await asyncio.to_thread(agent_id, server, token, asked.agent, asked.slots)
            # http becomes ws, https wss.
            await worker.session(f"ws{server[4:]}/api/v2/agents/{agent}/session?worker_instance={me}", token)
        except urllib.error.HTTPError as error:
            again(error, error.code, error.read())
        except InvalidStatus as error:
            again(error, error.response.status_code, error.response.body)
        except (OSError, http.client.HTTPException, WebSocketException) as error:
            print(f"connecting again: {error}", flush=True)
        await asyncio.sleep(worker.pause * random.uniform(0.5, 1))
        worker.pause = min(worker.pause * 2, 10)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
