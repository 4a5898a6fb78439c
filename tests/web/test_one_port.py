"""The web and the staff process as they are run: uvicorn, each on its port, each with its own half of the product."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest

from easel.embedded.stack import Stack
from tests.web.served import connect, eventually

ROOT = Path(__file__).resolve().parents[2]
ROLES = ("web", "staff")


class Process:
    def __init__(self, stack: Stack, role: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.log = stack.var.log(f"one-port-{role}")
        environment = {
            **os.environ,
            **stack.environment(role),
            "EASEL_PROCESS": role,
            "DJANGO_SETTINGS_MODULE": "easel.settings.embedded",
            "PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}",
        }
        server = ["uvicorn", "easel.asgi:application", "--loop=uvloop", "--http=httptools", "--no-access-log"]
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-m", *server, "--no-proxy-headers", f"--port={self.port}"],
                env=environment,
                cwd=ROOT,
                stderr=log,
            )

    def listens(self) -> bool:
        assert self.child.poll() is None, self.log.read_text()[-3000:]
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        self.child.send_signal(signal.SIGTERM)
        assert self.child.wait(10) in {0, -signal.SIGTERM}

    def ask(self, path: str, method: str = "GET", **headers: str) -> HTTPResponse:
        connection = connect(self.port)
        connection.request(method, path, headers=headers)
        return connection.getresponse()


@pytest.fixture(scope="module")
def processes(stack: Stack) -> Iterator[dict[str, Process]]:
    started = {role: Process(stack, role) for role in ROLES}
    try:
        for process in started.values():
            eventually(process.listens, seconds=30)
        yield started
    finally:
        for process in started.values():
            process.stop()


@pytest.mark.parametrize("role", ROLES)
def test_each_process_is_alive_and_ready(processes: dict[str, Process], role: str) -> None:
    alive = processes[role].ask("/healthz")
    assert (alive.status, json.loads(alive.read())) == (200, {"status": "ok"})
    ready = processes[role].ask("/readyz")
    assert (ready.status, json.loads(ready.read())["status"]) == (200, "ready")


def test_staff_answers_nothing_of_the_customers_api(processes: dict[str, Process]) -> None:
    for path in ("/v1/generations", "/oauth/token", "/media/x"):
        assert processes["staff"].ask(path).status == 404


def test_the_customers_port_has_no_admin(processes: dict[str, Process]) -> None:
    assert processes["web"].ask("/admin/").status == 404
    assert processes["web"].ask("/admin/login/").status == 404


def test_staff_starts_at_the_admins_door(processes: dict[str, Process]) -> None:
    staff = processes["staff"]
    assert (staff.ask("/").status, staff.ask("/").headers["Location"]) == (302, "/admin/")
    assert staff.ask("/admin/").headers["Location"].startswith("/admin/login/")
    login = staff.ask("/admin/login/?next=/admin/")
    assert (login.status, b"csrfmiddlewaretoken" in login.read()) == (200, True)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/nope", "/v1/generations"])
def test_every_answer_names_its_request(processes: dict[str, Process], path: str) -> None:
    response = processes["web"].ask(path, **{"X-Request-ID": "mine-1"})
    assert response.headers.get_all("X-Request-ID") == ["mine-1"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_method_that_is_not_allowed_is_a_problem(processes: dict[str, Process], path: str) -> None:
    response = processes["web"].ask(path, "DELETE")
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")
    assert json.loads(response.read())["code"] == "method_not_allowed"


def test_a_head_of_the_health_check_has_no_body(processes: dict[str, Process]) -> None:
    response = processes["web"].ask("/healthz", "HEAD")
    assert (response.status, response.read(), response.headers["Content-Length"]) == (200, b"", "16")


def test_a_people_page_and_a_programs_problem_are_the_same_404(processes: dict[str, Process]) -> None:
    page = processes["web"].ask("/nope", Accept="text/html")
    assert (page.status, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    problem = processes["web"].ask("/v1/nope", Accept="text/html")
    assert (problem.status, problem.headers["Content-Type"]) == (404, "application/problem+json")


def test_every_log_line_is_json_and_names_its_process(processes: dict[str, Process]) -> None:
    processes["web"].ask("/v1/nope", **{"X-Request-ID": "log-me"}).read()
    eventually(lambda: "log-me" in processes["web"].log.read_text())
    lines = [json.loads(line) for line in processes["web"].log.read_text().splitlines()]
    assert {line["process.name"] for line in lines} == {"web"}
    (line,) = [line for line in lines if line.get("request_id") == "log-me"]
    assert (line["http.route"], line["http.response.status_code"]) == ("unmatched", 404)


def test_a_process_stops_cleanly_on_sigterm(stack: Stack) -> None:
    process = Process(stack, "web")
    eventually(process.listens, seconds=30)
    process.stop()
