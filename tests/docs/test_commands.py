"""What the documents tell operators to paste works as it stands there."""

import subprocess
import sys
from pathlib import Path

from easel.embedded.stack import Stack

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_left_to_draw_can_be_counted_as_the_operations_say(stack: Stack) -> None:
    (command,) = [
        line for line in (ROOT / "docs/operations.md").read_text().splitlines() if "filter(status='running')" in line
    ]
    assert command.startswith("EASEL_PROCESS=clock python ")
    environment = stack.environment("clock")
    ran = subprocess.run(
        command.replace("python", sys.executable, 1),
        shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.stdout.strip().isdecimal(), ran.stdout + ran.stderr
