"""What the chart's probes ask is answered under production's settings, although they call a pod by its address."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from easel.embedded.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
CHART = (ROOT / "deploy/helm/templates/web.yaml").read_text()
PATHS = set(re.findall(r"httpGet: \{path: (\S+), port: http\}", CHART))

ASK = """
import django, sys
django.setup()
from django.test import Client
kubelet = Client(headers={"host": "10.1.2.3:8000"})
page = kubelet.get(sys.argv[1], headers={"x-forwarded-proto": "https"})
print(kubelet.get("/readyz").status_code, page.status_code)
"""


def test_these_are_the_paths_that_are_asked_for() -> None:
    assert sorted(PATHS) == ["/healthz", "/readyz"]


@pytest.mark.parametrize(("process", "page"), [("web", "/console/sign-in"), ("staff", "/admin/login/")])
def test_readiness_is_told_to_whoever_asks_by_an_address_and_pages_are_not(
    process: str, page: str, stack: Stack
) -> None:
    environment = stack.environment(process) | {
        "DJANGO_SETTINGS_MODULE": "easel.settings.production",
        "EASEL_ALLOWED_HOSTS": "easel.example.org",
        "EASEL_BASE_URL": "https://easel.example.org",
    }
    environment.pop("PROMETHEUS_MULTIPROC_DIR", None)  # of a process that serves
    ran = subprocess.run(
        [sys.executable, "-c", ASK, page], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.stdout.split()[-2:] == ["200", "400"], ran.stdout + ran.stderr
