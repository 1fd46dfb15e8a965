"""The contract of the WebSocket, walked through with a client library that shares nothing with the hive: `websockets`.

Called by tests/live_client.rs with the hive's address, its token and the schema; says `done` when everything was as it should be.
"""

import asyncio
import json
import sys
import urllib.request

import jsonschema_rs
import websockets
from websockets.asyncio.client import connect

URL, TOKEN, SCHEMA = sys.argv[1:4]
with open(SCHEMA, encoding="utf-8") as file:
    VALIDATOR = jsonschema_rs.validator_for(json.load(file))
BASE = URL.replace("http://", "ws://") + "/api/dashboard/ws/"


def submit(title):
    body = json.dumps({"title": title}).encode()
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    request = urllib.request.Request(URL + "/api/v2/tasks", body, headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)["id"]


def session(path, **options):
    return connect(BASE + path, additional_headers={"Authorization": f"Bearer {TOKEN}"}, **options)


async def frame(socket, kind=None):
    """The next frame, of this type where one is named."""
    while True:
        found = json.loads(await asyncio.wait_for(socket.recv(), 20))
        VALIDATOR.validate(found)
        if kind is None or found["type"] == kind:
            return found


async def walk():
    async with session("dashboard") as socket:
        first = await frame(socket)
        assert first["type"] == "connection_established" and first["contract_version"] == "1.1.0", first
        state = await frame(socket)
        assert state["type"] == "dashboard_initialized" and state["offset"] >= first["offset"], state
        await socket.send(json.dumps({"type": "ping", "correlation_id": "c-1"}))
        assert (await frame(socket, "pong"))["correlation_id"] == "c-1"
        await socket.send(json.dumps({"type": "subscribe", "subscriptions": ["alerts", "nonsense"]}))
        error = await frame(socket, "error")
        assert error["message"] == "Invalid subscription(s): nonsense", error
        updated = await frame(socket, "subscription_updated")
        assert updated["subscriptions"] == ["agents", "alerts", "coordination", "system", "tasks"], updated
        ids = [await asyncio.to_thread(submit, f"t{number}") for number in range(3)]
        events = [await frame(socket, "task_event") for _ in ids]
        assert [event["data"]["task_id"] for event in events] == ids, events
        offsets = [event["offset"] for event in events]
        assert offsets == list(range(offsets[0], offsets[0] + 3)), offsets
        for data_type in ("agent_status", "coordination_metrics", "system_health", "task_list", "actor_tree"):
            await socket.send(json.dumps({"type": "request_data", "data_type": data_type}))
            assert (await frame(socket, "data_response"))["data_type"] == data_type
        await (await socket.ping())
        epoch, place = events[0]["epoch"], offsets[0]
    missed = await asyncio.to_thread(submit, "missed")
    async with session(f"tasks?resume={epoch}:{place}") as socket:
        resumed = await frame(socket, "resumed")
        assert resumed["recovered"] and resumed["from"] == place, resumed
        events = [await frame(socket, "task_event") for _ in range(3)]
        assert [event["offset"] for event in events] == [place + 1, place + 2, place + 3], events
        assert events[-1]["data"]["task_id"] == missed, events
        await socket.send("x" * 70_000)
        assert (await frame(socket, "error"))["message"] == "Message too large"
    assert socket.close_code == 1000, socket.close_code
    async with connect(BASE + "system", subprotocols=["agent-hive", f"bearer.{TOKEN}"]) as socket:
        assert socket.subprotocol == "agent-hive"
        assert (await frame(socket))["type"] == "connection_established"
    try:
        async with connect(BASE + "system?access_token=wrong"):
            raise AssertionError("a wrong token was let in")
    except websockets.exceptions.InvalidStatus as refused:
        assert refused.response.status_code == 401, refused
    async with session("system") as socket:
        await frame(socket)
        try:
            await socket.send("x" * (1 << 20) + "x")
            while True:
                await frame(socket)
        except websockets.exceptions.ConnectionClosed as closed:
            # Where the hive closed while we still sent, the reset may come before the code.
            assert closed.rcvd is None or closed.rcvd.code == 1009, closed
    print("done")


asyncio.run(walk())
