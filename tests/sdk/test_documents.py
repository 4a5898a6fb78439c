"""Every block of code in docs/clients/ is run, as a reader would, against the suite's Easel."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook as Signer

from tests.cast import Customer
from tests.sdk.town import Town

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(?:^<!-- run: (\w+) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = {"console", "json"}  # what installs packages, and files for other programs
SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()
BODY = json.dumps({"type": "generation.completed", "timestamp": "2026-01-01T00:00:00Z", "data": {"id": "0193"}})


@dataclass(frozen=True)
class Block:
    document: str
    how: str
    language: str
    code: str


def blocks() -> list[Block]:
    found = []
    for path in sorted((ROOT / "docs/clients").glob("*.md")):
        for how, language, code in BLOCK.findall(path.read_text(encoding="utf-8")):
            found.append(Block(path.name, how, language, code))
    return found


def chosen(language: str, how: str = "") -> list[Block]:
    return [each for each in blocks() if (each.language, each.how) == (language, how)]


@pytest.fixture
def environment(easel_town: Town, ada: Customer, tmp_path: Path) -> dict[str, str]:
    """Credentials in the environment, and `easel` on the path."""
    program = tmp_path / "bin" / "easel"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m easel_client "$@"\n')
    program.chmod(0o755)
    return {
        "PATH": f"{program.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "sdk" / "python"),
        "HOME": str(tmp_path),
        "EASEL_URL": easel_town.base_url,
        "EASEL_API_KEY": ada.key.public_id,
        "EASEL_API_SECRET": ada.secret,
        "EASEL_WEBHOOK_SECRET": SECRET,
    }


def run(words: list[str], environment: dict[str, str], folder: Path, given: str = "") -> str:
    ran = subprocess.run(
        words, env=environment, cwd=folder, input=given, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_no_block_is_left_out() -> None:
    """A language that nobody here runs would go unnoticed."""
    kinds = {(each.language, each.how) for each in blocks() if each.language not in NOT_RUN}
    assert kinds == {
        ("python", ""),
        ("python", "django"),
        ("python", "fastapi"),
        ("sh", ""),
        ("js", ""),
        ("js", "express"),
    }
    assert len(blocks()) > 20


@pytest.mark.parametrize("document", sorted({each.document for each in chosen("python")}))
def test_python_runs_from_the_top_of_a_page_to_its_end(
    document: str, environment: dict[str, str], tmp_path: Path
) -> None:
    script = "\n".join(each.code for each in chosen("python") if each.document == document)
    run([sys.executable, "-"], environment, tmp_path, script)
    assert any(path.suffix in {".png", ".webp"} for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("document", sorted({each.document for each in chosen("sh")}))
def test_shell_runs_from_the_top_of_a_page_to_its_end(
    document: str, environment: dict[str, str], tmp_path: Path
) -> None:
    script = "\n".join(each.code for each in chosen("sh") if each.document == document)
    said = run(["bash", "-euo", "pipefail"], environment, tmp_path, script)
    assert "apple.png" in said
    assert len(list((tmp_path / "out").glob("*.png"))) == 2
    assert "is well" in said


DELIVER = """
import json, sys
headers, body = json.loads(sys.argv[1]), sys.argv[2]
"""
DJANGO = """
from django.conf import settings
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="hook")
import django; django.setup()
import hook
from django.urls import path
hook.urlpatterns = [path("easel", hook.easel)]
from django.test import Client
post = lambda body: Client(headers=headers).post("/easel", body, content_type="application/json").status_code
print(post(body), post(body.replace("0193", "0194")))
"""
FASTAPI = """
import hook
from fastapi.testclient import TestClient
post = lambda body: TestClient(hook.app).post("/easel", content=body, headers=headers).status_code
print(post(body), post(body.replace("0193", "0194")))
"""
NODE = """
import { createHmac } from "node:crypto";
import { verify } from "./verify.mjs";
const [secret, headers, body] = [process.env.EASEL_WEBHOOK_SECRET, JSON.parse(process.argv[2]), process.argv[3]];
console.log(verify(secret, Buffer.from(body), headers).type);
const empty = Buffer.from(createHmac("sha256", "").update(`${headers["webhook-id"]}.`)
  .update(`${headers["webhook-timestamp"]}.`).update(body).digest()).toString("base64");
const forged = { ...headers, "webhook-signature": `v1,${empty}` };
for (const bad of [
  () => verify("", Buffer.from(body), forged),
  () => verify("whsec_", Buffer.from(body), forged),
  () => verify(undefined, Buffer.from(body), forged),
  () => verify(secret, Buffer.from(body.replace("0193", "0194")), headers),
  () => verify(secret, Buffer.from(body), { ...headers, "webhook-timestamp": "1000000000" }),
  () => verify(secret, Buffer.from(body), {}),
]) { try { bad(); console.log("accepted"); } catch { console.log("refused"); } }
"""


def headers() -> str:
    now = datetime.fromtimestamp(time.time(), UTC)
    signed = Signer(SECRET).sign("evt_1", now, BODY)
    return json.dumps(
        {"webhook-id": "evt_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signed}
    )


@pytest.mark.parametrize(("how", "driver"), [("django", DJANGO), ("fastapi", FASTAPI)])
def test_webhook_receivers_take_what_easel_signed_and_nothing_else(
    how: str, driver: str, environment: dict[str, str], tmp_path: Path
) -> None:
    (block,) = chosen("python", how)
    (tmp_path / "hook.py").write_text(block.code)
    environment["PYTHONPATH"] += f":{tmp_path}"
    said = run([sys.executable, "-c", DELIVER + driver, headers(), BODY], environment, tmp_path)
    assert said.split("\n")[-2] == "204 400"
    assert "fetch 0193" in said


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_javascript_is_javascript_and_its_verification_verifies(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (block,) = chosen("js", "express")
    (tmp_path / "verify.mjs").write_text(block.code)
    (tmp_path / "drive.mjs").write_text(NODE)
    said = run(["node", "drive.mjs", headers(), BODY], environment, tmp_path)
    assert said.split() == ["generation.completed", *["refused"] * 6]
    for number, each in enumerate(chosen("js")):
        (tmp_path / f"{number}.mjs").write_text(each.code)
        run(["node", "--check", f"{number}.mjs"], environment, tmp_path)
