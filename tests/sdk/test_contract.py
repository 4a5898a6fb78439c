"""The package keeps up with the API and with itself: every code, both clients, old Pythons, the documented formats."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import algorithms

from easel.problems import KINDS
from easel_client import AsyncEasel, Easel, aio, errors, sync
from easel_client.conversation import Call
from easel_client.effects import Reply, Request, Send
from easel_client.options import Drawing
from easel_client.sealing import Sealer

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "sdk" / "python"


@pytest.mark.parametrize("code", sorted(KINDS))
def test_every_code_of_the_api_is_an_exception_of_its_own_under_that_of_its_status(code: str) -> None:
    kind = errors.BY_CODE[code]
    family = errors.BY_STATUS.get(KINDS[code].status) or errors.ServerError
    assert issubclass(kind, family if KINDS[code].status in {*errors.BY_STATUS, 500, 503} else errors.APIError)
    assert [each for each in errors.BY_CODE.values() if each is kind] == [kind]


def test_a_code_of_tomorrow_is_an_exception_of_its_status() -> None:
    assert errors.kind_of("brand_new", 402) is errors.PaymentRequired
    assert errors.kind_of("brand_new", 599) is errors.ServerError
    assert errors.kind_of("brand_new", 418) is errors.APIError


def test_every_field_of_a_request_can_be_given() -> None:
    from generation.request import GenerationRequest

    assert {*GenerationRequest().fields} - {*Drawing.__annotations__} == {"prompt"}


@pytest.mark.parametrize(
    ("one", "other"), [(Easel, AsyncEasel), (sync.Generation, aio.AsyncGeneration), (sync.Image, aio.AsyncImage),
                       (sync.Keys, aio.AsyncKeys), (sync.Webhooks, aio.AsyncWebhooks)],
)  # fmt: skip
def test_both_clients_have_the_same_methods_with_the_same_parameters(one: type, other: type) -> None:
    assert surface(one) == surface(other)
    assert surface(one)


def surface(kind: type) -> dict[str, list[str]]:
    methods = inspect.getmembers(kind, inspect.isfunction)
    return {name: [*inspect.signature(each).parameters] for name, each in methods if not name.startswith("_")}


def test_it_needs_no_newer_python_than_it_says() -> None:
    command = [str(Path(sys.executable).with_name("vermin")), "-t=3.9-", "--no-tips", "--violations"]
    ran = subprocess.run([*command, str(PACKAGE / "easel_client")], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_importing_it_imports_neither_the_command_nor_cryptography() -> None:
    said = "import sys, easel_client; print({'typer', 'mcp', 'cryptography', 'django'} & set(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", said], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(PACKAGE)}
    )
    assert ran.stdout.strip() == "set()"


def test_what_is_sent_and_answered_shows_no_secret_where_it_is_printed() -> None:
    """As in the reports of a crash, which hold local variables and know secrets by their names alone."""
    request = Request("POST", "/oauth/token", {"authorization": "Bearer hush"}, b"client_secret=hush")
    call = Call("POST", "/oauth/token", body={"prompt": "hush"}, content=b"client_secret=hush")
    said = repr([Send(request), call, Reply(200, {"set-cookie": "hush"}, b'{"access_token": "hush"}')])
    assert ("/oauth/token" in said, "hush" in said) == (True, False)


FORKED = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from easel_client import Easel

connections = []

class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        connections.append(self.client_address)

    def do_GET(self):
        body = b'{"data": [], "access_token": "t", "expires_in": 3600}'
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *said):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
server.daemon_threads = True
Thread(target=server.serve_forever, daemon=True).start()
easel = Easel(f"http://127.0.0.1:{server.server_port}", "ek_live_x", "es_x")
easel.models()
easel._alone.acquire()  # as if another thread were just asking for a token
easel._session.tokens._token = None
child = os.fork()
if child == 0:
    easel.models()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(len(connections))
"""


def test_a_forked_process_has_connections_of_its_own() -> None:
    """On its parent's, each would read what was answered to the other."""
    environment = {"PYTHONPATH": str(PACKAGE)}
    words = [sys.executable, "-c", FORKED]
    ran = subprocess.run(words, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert (ran.stdout, ran.returncode) == ("2\n", 0), ran.stderr


@pytest.mark.parametrize("algorithm", ["sm4-gcm", "aes-256-gcm"])
def test_sealed_requests_are_those_of_the_documented_vectors(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    formats = (ROOT / "docs/formats.md").read_text()
    version = {"sm4-gcm": "01", "aes-256-gcm": "02"}[algorithm]
    (vector,) = re.findall(rf"^\| `{version}` \| `([0-9a-f]{{78,}})` \|", formats, re.MULTILINE)
    monkeypatch.setattr("easel_client.sealing.os.urandom", lambda _: bytes(range(12)))
    key_id = "ek_live_" + 20 * "B"
    sealer = Sealer(key_id, "es_" + 43 * "A", algorithm)
    sealed, nonce = sealer.seal("POST", "/v1/generations", b'{"prompt":"a red apple"}', timestamp="1700000000")
    assert nonce == bytes(range(12))
    assert sealed.hex() == version + key_id.encode().hex() + nonce.hex() + vector
    assert algorithms.SM4.name == "SM4"
