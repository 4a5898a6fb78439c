"""The MCP server, by the protocol's own client: over standard input and output, and over HTTP with its token."""

import io
import os
import sys
from base64 import b64decode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import uvicorn
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from PIL import Image as PILImage

from easel_client import AsyncEasel, RetryPolicy
from easel_client.cli import exits
from easel_client.mcp_server import Purse, Server, ToolError, guarded
from easel_client.mcp_server import over_http as serve_over_http
from tests.cast import Customer
from tests.sdk.command import easel
from tests.sdk.scripted import KEY, SECRET, accepted, problem, token
from tests.sdk.town import Town

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"steps": 2, "width": 64, "height": 64}


async def story(client: Client) -> None:
    """What an assistant would do."""
    tools = {tool.name for tool in (await client.list_tools()).tools}
    assert tools == {"generate_image", "generation_status", "list_models", "usage"}
    drawn = await client.call_tool("generate_image", {"prompt": "a red apple", "seed": 7, **SMALL})
    assert not drawn.is_error
    said, picture = drawn.content
    assert said.type == "text"
    assert "seed 7" in said.text
    assert picture.type == "image"
    assert PILImage.open(io.BytesIO(b64decode(picture.data))).size == (64, 64)
    again = await client.call_tool("generation_status", {"generation_id": said.text.split()[1].rstrip(":")})
    assert [each.type for each in again.content] == ["text", "image"]
    assert "credits available" in text_of(await client.call_tool("usage", {}))
    refused = await client.call_tool("generate_image", {"prompt": "a red apple", "steps": 1000})
    assert refused.is_error
    assert "steps" in text_of(refused)
    missing = await client.call_tool("generation_status", {"generation_id": "0193e6a0-0000-7000-8000-000000000000"})
    assert missing.is_error


def text_of(result: Any) -> str:
    return " ".join(each.text for each in result.content if each.type == "text")


def test_an_assistant_draws_over_standard_input_and_output(easel_town: Town, ada: Customer) -> None:
    environment = {
        "EASEL_URL": easel_town.base_url, "EASEL_API_KEY": ada.key.public_id, "EASEL_API_SECRET": ada.secret,
        "PYTHONPATH": str(ROOT / "sdk" / "python"), "PATH": os.environ["PATH"],
    }  # fmt: skip
    server = StdioServerParameters(command=sys.executable, args=["-m", "easel_client", "mcp"], env=environment)

    async def run() -> None:
        with anyio.fail_after(60):
            async with Client(stdio_client(server)) as client:
                await story(client)

    anyio.run(run)


def over_http(server: Server, act: Callable[[str], Awaitable[None]]) -> None:
    async def run() -> None:
        app = guarded(server.mcp.streamable_http_app(), "word")
        running = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(running.serve)
                while not running.started:
                    await anyio.sleep(0.02)
                port = running.servers[0].sockets[0].getsockname()[1]
                await act(f"http://127.0.0.1:{port}/mcp")
                running.should_exit = True

    anyio.run(run)


def test_an_assistant_draws_over_http_with_the_token_and_not_without(easel_town: Town, ada: Customer) -> None:
    import httpx2

    async def act(url: str) -> None:
        async with httpx.AsyncClient() as nobody:
            assert (await nobody.post(url, json={})).status_code == 401
            assert (await nobody.post(url, json={}, headers={"Authorization": "Bearer wrong"})).status_code == 401
        http = httpx2.AsyncClient(headers={"Authorization": "Bearer word"})
        async with Client(streamable_http_client(url, http_client=http)) as client:
            await story(client)

    over_http(Server(easel_town.base_url, ada.key.public_id, ada.secret), act)


def test_its_own_cap_ends_what_it_may_spend(easel_town: Town, ada: Customer) -> None:
    server = Server(easel_town.base_url, ada.key.public_id, ada.secret, spend_cap=2)

    async def run() -> None:
        asked = {"prompt": "an apple", **SMALL}
        async with Client(server.mcp) as client:
            assert not (await client.call_tool("generate_image", asked)).is_error
            refused = await client.call_tool("generate_image", {**asked, "n": 2})
            assert refused.is_error
            assert "1 of this server's 2 are left" in text_of(refused)
            assert not (await client.call_tool("generate_image", asked)).is_error
            assert (await client.call_tool("generate_image", asked)).is_error
            assert "spent 2 credits" in text_of(await client.call_tool("usage", {}))

    anyio.run(run)


def test_what_is_set_aside_counts_until_it_is_settled() -> None:
    purse = Purse(10)
    purse.set_aside("a", 6)
    with pytest.raises(ToolError, match="4 of this server's 10"):
        purse.set_aside("b", 5)
    purse.rename("a", "id")
    purse.settle("id", 2)
    purse.settle("id", 2)
    assert purse.spent == 2
    purse.set_aside("b", 8)


def scripted(*answers: httpx.Response | Exception, cap: int = 2) -> Server:
    """Of an Easel that answers so, and with the last of these from then on. A picture costs 2 credits."""
    script = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return token("good")
        if request.url.path == "/v1/quotes":
            return httpx.Response(200, json={"quote": "q", "credits": 2})
        answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    http = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    retry = RetryPolicy(attempts=2, first=0.01, longest=0.05)
    return Server("", "", "", spend_cap=cap, easel=AsyncEasel("http://easel.test", KEY, SECRET, retry=retry, http=http))


def test_what_cannot_be_asked_about_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easel_client.mcp_server.WAIT_SECONDS", 0.3)
    server = scripted(accepted(id="0193-b"), httpx.ReadError("reset"))
    (said,) = anyio.run(server.generate_image, "an apple")
    assert "0193-b goes on" in str(said)


@pytest.mark.parametrize(
    ("answers", "left"),
    [([problem(400, "invalid_request")], 2), ([problem(402, "insufficient_credits")], 2),
     ([problem(429, "quota_exceeded", headers={"Retry-After": "86400"})], 2),
     ([problem(429, "rate_limited")], 2), ([httpx.ReadError("reset"), problem(429, "rate_limited")], 0),
     ([problem(503, "overloaded")], 0), ([httpx.ReadError("reset")], 0)],
    ids=["wrong", "poor", "too much", "too fast", "too fast after a break", "overloaded", "broken"],
)  # fmt: skip
def test_what_may_have_been_made_stays_set_aside(answers: list[httpx.Response | Exception], left: int) -> None:
    server = scripted(*answers)
    with pytest.raises(ToolError):
        anyio.run(server.generate_image, "an apple")
    with pytest.raises(ToolError) as again:
        anyio.run(server.generate_image, "an apple")
    assert ("0 of this server's 2 are left" in str(again.value)) == (left == 0)


def test_a_token_that_was_given_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easel_client.mcp_server.anyio.run", lambda *_: None)
    said: list[str] = []
    for token_ in ("hush-hush", None):
        server = scripted(problem(500, "internal_error"))
        serve_over_http(server, host="127.0.0.1", port=8765, token=token_, say=said.append)
    assert "hush-hush" not in said[0]
    assert len(said[1].partition("Bearer ")[2]) == 32


def test_an_argument_that_no_tool_has_is_named_and_costs_nothing() -> None:
    async def run() -> None:
        async with Client(scripted(problem(500, "internal_error")).mcp) as client:
            for more in ({"count": 4}, {"init_image": "0193-a"}):
                refused = await client.call_tool("generate_image", {"prompt": "an apple", **more})
                assert (refused.is_error, next(iter(more)) in text_of(refused)) == (True, True)
                assert "not permitted" in text_of(refused)
            tools = (await client.list_tools()).tools
            assert {tool.input_schema["additionalProperties"] for tool in tools} == {False}

    anyio.run(run)


def test_what_is_no_id_is_said_to_be_none() -> None:
    with pytest.raises(ToolError, match="is no id"):
        anyio.run(scripted(problem(404, "not_found")).generation_status, "..")


@pytest.mark.parametrize("port", [0, 65536])
def test_a_port_that_is_none_is_a_mistake_of_the_command_line(port: int) -> None:
    assert easel("mcp", "--http", "--port", port).exit_code == exits.USAGE


def test_without_credentials_it_does_not_start() -> None:
    assert easel("mcp").exit_code == exits.NOT_LET_IN
