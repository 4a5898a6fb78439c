"""Installs what a make target needs into .venv, and says what it does. Run as a file by the system's Python.

    python3.11 -I platform/easel/embedded/install.py up|dev

It uses the standard library only, and is readable by Pythons from 3.7, so that they get the right message.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
VENV = ROOT / ".venv"
STAMP = VENV / "easel-installed.json"
LOG = VENV / "easel-install.log"
SETS = {
    "up": ["build.txt", "web.txt", "worker.txt", "embedded.txt", "screening.txt"],
    "dev": ["build.txt", "dev.txt"],
}
WANTED = (3, 11)
NEEDED_BYTES = 4000000000  # at least: torch and its friends, unpacked and while unpacking; with CUDA 10 GB
PATIENCE = 3.0  # seconds between two lines on the terminal


def main(words: list[str]) -> int:
    check_python()
    wanted = words[0]
    if installed().get(wanted) == fingerprint():
        return 0
    start = time.monotonic()
    check_space()
    make_environment()
    say("installing the packages of requirements/ (1 to 3 GB and a few minutes, the first time)")
    install(wanted)
    done = dict(installed(), **{name: fingerprint() for name in (["up", "dev"] if wanted == "dev" else ["up"])})
    STAMP.write_text(json.dumps(done))
    say(f"installed after {time.monotonic() - start:.0f} s")
    return 0


def say(text: str) -> None:
    print("  packages  " + text, flush=True)


def fail(message: str) -> None:
    print("easel: " + message, file=sys.stderr)
    sys.exit(1)


def check_python() -> None:
    if sys.version_info[:2] != WANTED:
        fail(
            "Easel needs Python 3.11; {} is {}.{}. Install it (Debian 12: apt install python3.11 python3.11-venv) "
            "or name it: make up PYTHON=/path/to/python3.11".format(sys.executable, *sys.version_info[:2])
        )
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        fail("Python's venv module is not complete. Debian 12: apt install python3.11-venv")


def check_space() -> None:
    free = shutil.disk_usage(str(ROOT)).free
    if not STAMP.exists() and free < NEEDED_BYTES:
        needed = f"{NEEDED_BYTES // 1000000} MB needed"
        fail(f"The disk is nearly full: {free // 1000000} MB free at {ROOT}, {needed}. Free some space and try again.")


def fingerprint() -> str:
    """Changes with every pin, with the packaging, with the Python, and when the folder is moved."""
    digest = hashlib.sha256(f"{ROOT} {sys.version}".encode())
    packaging = [ROOT / "pyproject.toml", ROOT / "sdk" / "python" / "pyproject.toml"]
    for path in [*sorted((ROOT / "requirements").glob("*.txt")), *packaging]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def installed() -> dict[str, str]:
    try:
        return dict(json.loads(STAMP.read_text()))
    except (OSError, ValueError):
        return {}


def make_environment() -> None:
    if (VENV / "pyvenv.cfg").exists() and works():
        return
    say("making .venv with " + sys.executable)
    run([sys.executable, "-m", "venv", "--clear", str(VENV)])


def works() -> bool:
    """Not so after the folder was moved or the system's Python was replaced."""
    question = [str(VENV / "bin" / "python"), "-c", "import pip, sys; sys.exit(sys.version_info[:2] != (3, 11))"]
    try:
        return subprocess.run(question, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def install(wanted: str) -> None:
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar=off"]
    files = [word for name in SETS[wanted] for word in ("-r", str(ROOT / "requirements" / name))]
    run([*pip, "--retries=5", "--timeout=60", *files])
    own = [ROOT, *([ROOT / "sdk" / "python"] if wanted == "dev" else [])]
    run([*pip, "--no-deps", "--no-build-isolation", "--quiet", *(word for path in own for word in ("-e", str(path)))])


def run(command: list[str]) -> None:
    """Everything goes to the log, a line now and then to the terminal."""
    found, told, lines = 0, time.monotonic(), []
    environment = dict(os.environ, PYTHONUNBUFFERED="1", PIP_ROOT_USER_ACTION="ignore")
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=str(ROOT), env=environment
    )
    for line in process.stdout or ():
        lines.append(line)
        found += line.startswith("Collecting ")
        if line.startswith("Installing collected packages"):
            say("unpacking {} packages".format(line.count(",") + 1))
        elif re.match("Collecting|  Downloading|  Using", line) and time.monotonic() - told > PATIENCE:
            told = time.monotonic()
            say(f"{found} found, now {line.split()[1]}")
    code = process.wait()
    if VENV.exists():
        with LOG.open("a") as log:
            log.writelines(lines)
    if code:
        fail(explain(lines, command))


def explain(lines: list[str], command: list[str]) -> str:
    text = "".join(lines[-60:])
    if "No space left on device" in text:
        return "The disk is full. Free some space and try again."
    if re.search("NewConnectionError|Read timed out|ConnectionResetError|Temporary failure in name resolution", text):
        return "The package index cannot be reached. Check the network (or pip's settings) and try again."
    errors = [line.strip() for line in lines if "ERROR" in line] or [line.strip() for line in lines[-1:]]
    what = errors[-1] if errors else " ".join(command[:4])
    return f"The packages were not installed: {what} (all of it: {LOG})"


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        fail("interrupted; `make` again goes on where it stopped")
    except OSError as error:
        fail(f"{error.strerror or error}: {error.filename or ROOT}")
