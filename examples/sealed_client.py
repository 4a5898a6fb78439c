"""Sealed requests and answers: what is asked and answered is readable by Easel alone, whatever ends TLS on the way.

    pip install cryptography PyJWT
    EASEL_URL=http://127.0.0.1:8000 EASEL_KEY=ek_live_… EASEL_SECRET=es_… python sealed_client.py "a red apple"

The format is in docs/formats.md. Authenticated modes only: plain CBC, as many examples have it, can be altered unseen.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MEDIA_TYPE = "application/vnd.easel.sealed"
VERSIONS = {"sm4-gcm": 1, "aes-256-gcm": 2}


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)


# Method, URL, headers, body → status, headers, body.
Send = Callable[[str, str, Mapping[str, str], bytes | None], tuple[int, Mapping[str, str], bytes]]


class SealedClient:
    """Calls with one API key. Every call is sealed with a fresh nonce; Easel takes each nonce once."""

    def __init__(
        self, base_url: str, key_id: str, secret: str, *, algorithm: str = "sm4-gcm", send: Send | None = None
    ) -> None:
        self._base_url, self._key_id, self._secret = base_url.rstrip("/"), key_id, secret.encode()
        self._algorithm, self._version = algorithm, VERSIONS[algorithm]
        self._send = send or over_http

    def post(self, path: str, body: Any) -> Answer:
        return self._call("POST", path, json.dumps(body).encode())

    def get(self, path: str, accept: str = "application/json") -> Answer:
        return self._call("GET", path, None, accept)

    def _call(self, method: str, path: str, body: bytes | None, accept: str = "application/json") -> Answer:
        timestamp, nonce = str(int(time.time())), b""
        headers = {"Authorization": f"Bearer {self._token()}", "Accept": accept, "Easel-Timestamp": timestamp}
        if body is None:
            headers["Easel-Seal"] = "1"
        else:
            nonce = os.urandom(12)
            authenticated = "\n".join(["easel-sealed-request", method, path, self._key_id, timestamp]).encode()
            encryptor = Cipher(self._cipher("request"), modes.GCM(nonce)).encryptor()
            encryptor.authenticate_additional_data(authenticated)
            ciphertext = encryptor.update(body) + encryptor.finalize()
            body = bytes([self._version]) + self._key_id.encode() + nonce + ciphertext + encryptor.tag
            headers["Content-Type"] = MEDIA_TYPE
        status, answered, sealed = self._send(method, self._base_url + path, headers, body)
        if answered.get("Content-Type") != MEDIA_TYPE:
            # Only why a call was not opened comes in clear: a token that has expired, a clock that is wrong.
            raise RuntimeError(f"{status}: the answer is not sealed: {sealed[:300]!r}")
        content_type = answered["Easel-Content-Type"]
        words = ["easel-sealed-answer", method, path, self._key_id, answered["Easel-Timestamp"]]
        words += [str(status), content_type, nonce.hex()]
        return Answer(status, content_type, self._open(sealed, "\n".join(words).encode()))

    def _open(self, sealed: bytes, authenticated: bytes) -> bytes:
        """Raises cryptography.exceptions.InvalidTag where the answer was altered or belongs to another request."""
        nonce, ciphertext, tag = sealed[29:41], sealed[41:-16], sealed[-16:]
        version = {number: name for name, number in VERSIONS.items()}[sealed[0]]
        decryptor = Cipher(self._cipher("answer", version), modes.GCM(nonce, tag)).decryptor()
        decryptor.authenticate_additional_data(authenticated)
        return decryptor.update(ciphertext) + decryptor.finalize()

    def _cipher(self, direction: str, algorithm: str = "") -> algorithms.SM4 | algorithms.AES:
        algorithm = algorithm or self._algorithm
        length = 16 if algorithm == "sm4-gcm" else 32
        info = f"easel/sealed/v1/{direction}/{algorithm}".encode()
        key = HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(self._secret)
        return algorithms.SM4(key) if algorithm == "sm4-gcm" else algorithms.AES(key)

    def _token(self) -> str:
        return jwt.encode(
            {"exp": int(time.time()) + 300}, self._secret, algorithm="HS256", headers={"kid": self._key_id}
        )


def over_http(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None
) -> tuple[int, Mapping[str, str], bytes]:
    request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def main() -> None:
    client = SealedClient(os.environ["EASEL_URL"], os.environ["EASEL_KEY"], os.environ["EASEL_SECRET"])
    accepted = client.post("/v1/generations", {"prompt": sys.argv[1]})
    if accepted.status not in {200, 202}:
        raise SystemExit(f"{accepted.status}: {accepted.json()}")
    task = accepted.json()["task_id"]
    while client.get(f"/v1/generations/status/{task}").json()["status"] in {"queued", "running"}:
        time.sleep(1)
    picture = client.get(f"/v1/generations/result/{task}", accept="image/*")
    if not picture.content_type.startswith("image/"):
        raise SystemExit(f"{picture.status}: {picture.content.decode()}")
    with open("sealed.png", "wb") as file:
        file.write(picture.content)
    print("sealed.png")


if __name__ == "__main__":
    main()
