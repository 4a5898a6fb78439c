"""What the dashboards and docs/operations.md ask about a process, each process behind a shared port tells."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STANDARD = re.compile(r"\bprocess_[a-z0-9_]+")
COUNTS_AND_WAITS = """
import sys
from prometheus_client import Counter, generate_latest
from easel.exporter import registry
Counter("easel_example", "Example.").inc()
print("counted", flush=True)
sys.stdin.readline()
print(generate_latest(registry()).decode(), flush=True)
"""


HOLDS_AND_WAITS = """
import sys
from prometheus_client import Counter, Gauge, generate_latest
from easel.exporter import registry
Gauge("easel_open", "Open.", multiprocess_mode="livesum").set(4)
Gauge("easel_tripped", "Tripped.", multiprocess_mode="livemax").set(float(sys.argv[1]))
Counter("easel_seen", "Seen.").inc(10)
print("counted", flush=True)
sys.stdin.readline()
print(generate_latest(registry()).decode(), flush=True)
"""


def asked() -> set[str]:
    """The standard metrics of Prometheus's clients that somebody relies on."""
    boards = "\n".join(
        target["expr"]
        for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")
        for panel in json.loads(path.read_text())["panels"]
        for target in panel.get("targets", ())
    )
    return set(STANDARD.findall(boards + (ROOT / "docs/operations.md").read_text()))


def test_whichever_answers_tells_it_of_each_process_of_the_port(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COUNTS_AND_WAITS],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    (tmp_path / "counter_999999999.db").write_bytes(bytes(8))  # of a process that ended
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "counted\n"
        said, _ = processes[0].communicate("\n", timeout=20)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert len(asked()) == 2
    for name in asked():
        values = dict(re.findall(rf'^{name}{{pid="(\d+)"}} (\S+)$', said, re.MULTILINE))
        assert set(values) == {str(process.pid) for process in processes}
        assert all(float(value) > 0 for value in values.values())


def test_what_a_killed_process_had_open_is_not_open_any_more(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", HOLDS_AND_WAITS, tripped],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for tripped in ("0", "1")
    ]  # fmt: skip
    stays, killed = processes
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "counted\n"
        killed.kill()
        killed.wait()
        said, _ = stays.communicate("\n", timeout=20)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    values = dict(re.findall(r"^(easel_\w+) (\S+)$", said, re.MULTILINE))
    assert values == {"easel_open": "4.0", "easel_tripped": "0.0", "easel_seen_total": "20.0"}


@pytest.mark.parametrize("shared", [True, False])
def test_a_web_container_starts_without_the_metrics_of_the_processes_before_it(shared: bool, tmp_path: Path) -> None:
    (line,) = re.findall(r"^ENTRYPOINT (\[.*\])$", (ROOT / "deploy/docker/web.Dockerfile").read_text(), re.MULTILINE)
    for name in ("gauge_livesum_7.db", "counter_7.db", "worker.ready"):
        (tmp_path / name).touch()
    environment = {"PATH": os.environ["PATH"]} | ({"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)} if shared else {})
    command = [*json.loads(line), "printf", "%s|", "as it", "was told"]
    ran = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("as it|was told|", "")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == ({"worker.ready"} if shared else {"gauge_livesum_7.db", "counter_7.db", "worker.ready"})
