"""LitServe with dynamic batching: `litserve_server.py PORT THREADS`."""

import sys
from typing import Any

import litserve
import litserve.server

from benchmarks.peers.drawing import BATCH, WAIT, Painter


class Drawing(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        self._painter = Painter(int(sys.argv[2]))

    def decode_request(self, request: dict[str, Any]) -> dict[str, Any]:
        return request

    def batch(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return list(inputs)

    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, float]]:
        return self._painter.draw(inputs)

    def unbatch(self, output: list[dict[str, float]]) -> list[dict[str, float]]:
        return output

    def encode_response(self, output: dict[str, float]) -> dict[str, float]:
        return output


if __name__ == "__main__":
    litserve.server._MCP_AVAILABLE = False  # a part of it that finds the product's packages, of another version
    api = Drawing(max_batch_size=BATCH, batch_timeout=WAIT, api_path="/draw")
    litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=False).run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning"
    )
