"""Make the peers' virtual environment, which sees the product's torch and diffusers behind its own packages."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = Path(os.environ.get("EASEL_PEERS", HERE.parents[1] / "var" / "peers"))
PYTHON = VENV / "bin" / "python"


def install() -> Path:
    """The environment's interpreter."""
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        subprocess.run([PYTHON, "-m", "pip", "install", "-q", "-r", str(HERE / "requirements.txt")], check=True)
    packages = VENV / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (packages / "product.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return PYTHON


if __name__ == "__main__":
    print(install())
