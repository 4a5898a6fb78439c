"""Staff open their pages as docs/deployment.md says: through a tunnel to the proxy, by another name than customers'."""

import subprocess
import sys
from pathlib import Path

import yaml

from easel.embedded.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
STAFF = yaml.safe_load((ROOT / "deploy/compose/compose.yml").read_text())["services"]["staff"]["environment"]

# What nginx passes on of a browser at https://localhost:8001.
SIGN_IN = """
import django, re
django.setup()
from django.test import Client
browser = Client(enforce_csrf_checks=True, headers={"host": "localhost:8001", "x-forwarded-proto": "https"})
page = browser.get("/admin/login/")
token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.content.decode())[1]
form = {"username": "nobody@example.org", "password": "wrong", "csrfmiddlewaretoken": token}
answers = [browser.post("/admin/login/", form, headers={"origin": each}).status_code
           for each in ("https://localhost:8001", "https://elsewhere.example:8001")]
print(page.status_code, *answers)
"""


def test_the_form_is_taken_from_there_and_from_nowhere_else(stack: Stack) -> None:
    environment = stack.environment("staff") | {
        "DJANGO_SETTINGS_MODULE": "easel.settings.production",
        "EASEL_ALLOWED_HOSTS": STAFF["EASEL_ALLOWED_HOSTS"],
        "EASEL_PROXIES": STAFF["EASEL_PROXIES"],
    }
    ran = subprocess.run(
        [sys.executable, "-c", SIGN_IN], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.stdout.split()[-3:] == ["200", "200", "403"], ran.stdout + ran.stderr
