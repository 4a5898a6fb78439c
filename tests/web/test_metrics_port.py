"""Prometheus reads each kind of process on an internal port; processes behind one port answer with their sum."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry, Counter

from easel import exporter
from easel.embedded.stack import Stack
from tests.web.served import eventually

COUNTS_AND_WAITS = """
import sys
from prometheus_client import Counter
from easel.exporter import Exporter, registry
Counter("easel_example", "Example.").inc(float(sys.argv[2]))
Exporter(host="127.0.0.1", port=int(sys.argv[1]), registry=registry())
print("listening", flush=True)
sys.stdin.read()
"""


def scrape(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


def answered(port: int) -> str:
    """What a process says that may still be starting."""
    try:
        return scrape(port)
    except OSError:
        return ""


def test_a_scrape_tells_what_was_counted() -> None:
    registry = CollectorRegistry()
    Counter("easel_example", "Example.", registry=registry).inc(3)
    serving = exporter.Exporter(host="127.0.0.1", port=0, registry=registry)
    try:
        assert "easel_example_total 3.0" in scrape(serving.port)
    finally:
        serving.stop()


def test_processes_behind_one_port_are_added_up_whichever_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COUNTS_AND_WAITS, str(port), amount],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for amount in ("2", "5")
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "listening\n"
        for _ in range(8):  # the kernel picks one of the two each time
            assert "easel_example_total 7.0" in scrape(port)
    finally:
        for process in processes:
            process.communicate(timeout=10)


def test_a_port_that_is_taken_does_not_stop_the_process(settings_of_a_taken_port: int) -> None:
    assert exporter.start() is None


def test_no_port_no_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.conf.settings.METRICS_PORT", 0)
    assert exporter.start() is None


@pytest.fixture
def settings_of_a_taken_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr("django.conf.settings.METRICS_PORT", taken.getsockname()[1])
        yield taken.getsockname()[1]


def test_every_kind_of_process_of_the_stack_has_a_port_of_its_own(stack: Stack) -> None:
    ports = {name: stack.environment(name).get("EASEL_METRICS_PORT") for name in ("web", "staff", "worker", "clock")}
    assert None not in ports.values()
    assert len(set(ports.values())) == 4
    told = json.loads((stack.var.config / "metrics.json").read_text())
    assert {
        entry["labels"]["process"]: entry["targets"][0] for entry in told if entry["labels"]["process"] in ports
    } == {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    stack.start("clock")
    try:
        eventually(lambda: "easel_clock_runs_total" in answered(int(str(ports["clock"]))), seconds=60)
    finally:
        stack.halt("clock")
