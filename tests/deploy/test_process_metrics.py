"""What the dashboards and docs/operations.md ask about a process, each process behind a shared port tells."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

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
