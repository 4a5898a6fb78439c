"""HTTP on the loopback, for Easel's own processes: a shared secret opens it, a thread serves each connection.

POST /texts    {"texts": [...]}    {"version", "readings": [{"embedding": base64 of 384 float32, "scores"}]}
POST /images   the file's bytes    {"scores", "phash", "scorer"}
GET  /healthz, /readyz, /metrics   without the secret; nothing of anybody's text or picture is in them
"""

import base64
import hmac
import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from moderation.screening.batches import TooMuchWaiting
from moderation.screening.desk import Desk
from moderation.screening.files import ModelUnusable
from moderation.screening.images import UnreadableImage

log = structlog.get_logger(__name__)

LARGEST_BODY: Final = 64 * 1024 * 1024
MOST_TEXTS: Final = 64
LONGEST_TEXT: Final = 8_000  # characters; the client cuts what is longer
IDLE_SECONDS: Final = 300
PATIENCE: Final = 30.0  # the client has long gone by then


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], desk: Desk, secret: str) -> None:
        super().__init__(address, Handler)
        self.desk = desk
        self.secret = secret


class Refused(Exception):
    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together

    def do_GET(self) -> None:
        desk = self.server.desk
        match self.path:
            case "/healthz":
                self._json(HTTPStatus.OK, {"status": "ok"})
            case "/readyz":
                status = HTTPStatus.SERVICE_UNAVAILABLE if desk.closed else HTTPStatus.OK
                self._json(status, {"closed": desk.closed, "waiting": desk.depths(), "version": desk.heads_version})
            case "/metrics":
                self._send(HTTPStatus.OK, generate_latest(), CONTENT_TYPE_LATEST)
            case _:
                self._json(HTTPStatus.NOT_FOUND, {"detail": "There is nothing here."})

    def do_POST(self) -> None:
        try:
            body = self._body()
            self._json(HTTPStatus.OK, self._answer(body))
        except Refused as error:
            self._json(error.status, {"detail": str(error)})
        except UnreadableImage as error:
            self._json(HTTPStatus.UNPROCESSABLE_ENTITY, {"detail": str(error)})
        except (ModelUnusable, TooMuchWaiting, TimeoutError) as error:
            self._json(HTTPStatus.SERVICE_UNAVAILABLE, {"detail": str(error) or "The model did not answer in time."})
        except (ConnectionError, OSError):
            self.close_connection = True  # the caller has gone
        except Exception:
            log.exception("screening.failed", path=self.path)
            self._json(HTTPStatus.INTERNAL_SERVER_ERROR, {"detail": "It could not be read."})

    def _answer(self, body: bytes) -> dict[str, Any]:
        match self.path:
            case "/texts":
                return self._texts(body)
            case "/images":
                found = self.server.desk.image(body, seconds=PATIENCE)
                return {"scores": found.scores, "phash": found.phash, "scorer": found.scorer}
            case _:
                raise Refused(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            self.close_connection = True
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body has {LARGEST_BODY} bytes at most.")
        if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), b"Bearer " + self._secret):
            self.close_connection = True
            raise Refused(HTTPStatus.UNAUTHORIZED, "The secret is not the one.")
        return self.rfile.read(int(length))

    @property
    def _secret(self) -> bytes:
        return self.server.secret.encode()

    def _texts(self, body: bytes) -> dict[str, Any]:
        try:
            texts = json.loads(body)["texts"]
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(HTTPStatus.BAD_REQUEST, "texts: a list of strings is needed.") from error
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise Refused(HTTPStatus.BAD_REQUEST, "texts: a list of strings is needed.")
        if len(texts) > MOST_TEXTS or any(len(text) > LONGEST_TEXT for text in texts):
            raise Refused(HTTPStatus.BAD_REQUEST, f"texts: {MOST_TEXTS} of {LONGEST_TEXT} characters at most.")
        readings = self.server.desk.texts(texts, seconds=PATIENCE)
        return {
            "version": self.server.desk.heads_version,
            "readings": [
                {"embedding": base64.b64encode(reading.embedding.tobytes()).decode(), "scores": reading.scores}
                for reading in readings
            ],
        }

    def _json(self, status: HTTPStatus, payload: dict[str, Any]) -> None:
        self._send(status, json.dumps(payload).encode(), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class calls it so
        """Nothing is logged of each request."""
