"""One grep for a request's id shows its way through the logs of the web, the worker and the webhooks."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from easel.embedded.stack import Stack
from tests.cast import Customer
from tests.deploy.log_fields import faults_of
from tests.generation.conftest import Workshop, ended, make_workshop, until
from tests.web.receiver import answering, receiver

LOOPBACK = {"EASEL_OUTBOUND_ALLOW": "127.0.0.1/32"}
PROCESSES = ("web", "worker", "clock")


@pytest.fixture(scope="module")
def workshop(tiny_folder: Path) -> Workshop:
    return make_workshop(str(tiny_folder))


@pytest.fixture(scope="module")
def easel(stack: Stack, workshop: Workshop) -> Iterator[Stack]:
    stack.start("web", "clock", extra=LOOPBACK)
    stack.start("worker", extra={"EASEL_POOLS": workshop.pool, "EASEL_TORCH_THREADS": "1", "EASEL_DEVICE": "cpu"})
    yield stack
    stack.halt("worker", "clock", "web")


def grep(request_id: str, folder: Path) -> dict[str, list[dict[str, object]]]:
    """What `grep -h ID var/log/*.log` prints, by the process that wrote it."""
    files = [str(folder / f"{name}.log") for name in PROCESSES]
    printed = subprocess.run(["grep", "-h", request_id, *files], capture_output=True, text=True, check=False).stdout
    found: dict[str, list[dict[str, object]]] = {}
    for line in printed.splitlines():
        entry = json.loads(line)
        found.setdefault(entry["process.name"], []).append(entry)
    return found


def test_a_request_is_followed_from_its_id_through_web_worker_and_webhook(
    easel: Stack, workshop: Workshop, ada: Customer
) -> None:
    request_id = f"order-{uuid4().hex}"
    with receiver(answering("204 No Content")) as (port, told):
        answer = httpx.post(
            f"{easel.base_url}/v1/generations",
            json=workshop.body(webhook_url=f"http://127.0.0.1:{port}/done"),
            headers={"Authorization": f"Bearer {ada.token()}", "X-Request-ID": request_id},
            timeout=30,
        )
        assert (answer.status_code, answer.headers["X-Request-ID"]) == (202, request_id), answer.text
        generation = UUID(answer.json()["id"])
        assert ended(generation).status == "completed"
        until(lambda: "clock" in grep(request_id, easel.var.log("web").parent))
        assert told
    found = grep(request_id, easel.var.log("web").parent)
    said = {process: [str(entry["message"]) for entry in entries] for process, entries in found.items()}
    assert said["web"][-1] == "answered"
    assert {"production.claimed", "production.ended"} <= set(said["worker"])
    assert said["clock"] == ["webhooks.told"]
    everything = [entry for entries in found.values() for entry in entries]
    assert {entry["request_id"] for entry in everything} == {request_id}
    assert {entry["tenant"] for entry in everything} == {str(ada.id)}
    assert {entry["generation"] for entry in found["worker"]} == {str(generation)}
    (last,) = found["clock"]
    assert (last["kind"], last["outcome"], last["status"]) == ("generation.completed", "delivered", 204)
    # And what these processes have written so far, the index of deploy/elk takes.
    assert {name: faults_of(easel.var.log(name)) for name in PROCESSES} == {name: {} for name in PROCESSES}


def test_the_grep_finds_nothing_for_another_request(easel: Stack) -> None:
    httpx.get(f"{easel.base_url}/v1/models", timeout=30)
    assert grep(f"order-{os.urandom(8).hex()}", easel.var.log("web").parent) == {}
