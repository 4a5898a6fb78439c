"""A small storm: 5 faults under 60 jobs, and nothing is lost, doubled or left. `make chaos` is the large one."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FAULTS, JOBS, SEED = (os.environ.get(f"EASEL_CHAOS_{name}", given) for name, given in
                      (("FAULTS", "5"), ("JOBS", "60"), ("SEED", "7")))  # fmt: skip


def test_nothing_is_lost_doubled_or_left_unfinished_in_a_storm() -> None:
    """In a process of its own: it restarts services that this suite stands on."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("EASEL_", "DJANGO_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--faults", FAULTS, "--jobs", JOBS, "--seed", SEED],
        cwd=ROOT, env={**environment, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}, capture_output=True, text=True,
        check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    assert f"| faults · jobs · customers | {FAULTS} · {JOBS} · 5 |" in done.stdout
