"""A Model Context Protocol server: AI assistants draw with one API key, within its own limits and one of their own."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Optional, Union

import anyio
from mcp.server.mcpserver import Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool

from easel_client import errors
from easel_client._version import __version__
from easel_client.aio import AsyncEasel, AsyncGeneration
from easel_client.options import Drawing

WAIT_SECONDS = 50.0  # assistants give up on a tool after about a minute
INSTRUCTIONS = (
    "Draws pictures with Easel, a Stable Diffusion platform. Pictures cost credits; usage says how many are left. "
    "When generate_image answers that a generation goes on, ask generation_status for it later: do not ask for it anew."
)

Content = list[Union[str, Image]]
Receive = Callable[[], Awaitable[Any]]
Reply = Callable[[Any], Awaitable[None]]
App = Callable[[Any, Receive, Reply], Awaitable[None]]


class Purse:
    """What may still be spent. A picture's quote is set aside before it is asked for; what it came to is kept."""

    def __init__(self, cap: int | None) -> None:
        self._cap = cap
        self.spent = 0
        self._aside: dict[str, int] = {}

    def set_aside(self, name: str, credits_: int) -> None:
        """Raises ToolError where that is more than the cap leaves."""
        if self._cap is not None and self.spent + sum(self._aside.values()) + credits_ > self._cap:
            left = self._cap - self.spent - sum(self._aside.values())
            raise ToolError(
                f"It would cost {credits_} credits, and {left} of this server's {self._cap} are left. "
                "Ask for fewer or smaller pictures, or tell the person who started the server."
            )
        self._aside[name] = credits_

    def rename(self, name: str, other: str) -> None:
        self._aside[other] = self._aside.pop(name, 0)

    def settle(self, name: str, credits_: int) -> None:
        """It ended at this price. Again: nothing."""
        if self._aside.pop(name, None) is not None:
            self.spent += credits_


class Server:
    def __init__(
        self,
        base_url: str,
        api_key: str,
        api_secret: str,
        *,
        spend_cap: int | None = None,
        sealed: bool | str = False,
        easel: AsyncEasel | None = None,
    ) -> None:
        self._easel = easel or AsyncEasel(base_url, api_key, api_secret, sealed=sealed)
        self._purse = Purse(spend_cap)
        tools: list[Callable[..., Any]] = [self.generate_image, self.generation_status, self.list_models, self.usage]
        self.mcp: MCPServer[Any] = MCPServer(
            "easel", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING", tools=[*map(_strict, tools)]
        )

    async def generate_image(
        self,
        prompt: str,
        *,
        negative_prompt: str = "",
        model: str = "auto",
        width: Optional[int] = None,  # noqa: UP045  read at run time, on Python 3.10, too
        height: Optional[int] = None,  # noqa: UP045
        steps: Optional[int] = None,  # noqa: UP045
        seed: Optional[int] = None,  # noqa: UP045
        n: int = 1,
    ) -> Content:
        """Draw one picture, or up to 8, from a description. Width and height are multiples of 8. The same seed with the
        same words draws the same picture again."""
        asked: dict[str, Any] = {"model": model, "n": n, "negative_prompt": negative_prompt or None}
        asked |= {"width": width, "height": height, "steps": steps, "seed": seed}
        options: Drawing = {name: value for name, value in asked.items() if value is not None}  # type: ignore[assignment]
        attempt = secrets.token_hex(8)
        try:
            quote = await self._easel.quote(prompt, **options)
            self._purse.set_aside(attempt, quote.credits)
            try:
                made = await self._easel.submit(prompt, **Drawing(**{**options, "quote": quote.quote}))
            except errors.APIError as error:
                if _made_nothing(error):
                    self._purse.settle(attempt, 0)
                raise
            self._purse.rename(attempt, made.id)
            return await self._awaited(made)
        except errors.EaselError as error:
            raise ToolError(str(error)) from error

    async def generation_status(self, generation_id: str) -> Content:
        """How far a generation is; its pictures once it is completed."""
        try:
            made = await self._easel.get(generation_id)
            if made.done:
                return await self._ended(made)
            status = await self._easel.status(generation_id)
        except (errors.EaselError, ValueError) as error:
            raise ToolError(str(error)) from error
        eta = "" if status.eta_seconds is None else f", about {status.eta_seconds:.0f} s to go"
        return [f"{generation_id} is {status.status}, {status.progress * 100:.0f} %{eta}."]

    async def list_models(self) -> str:
        """The models that can be named, the default one first."""
        try:
            found = await self._easel.models()
        except errors.EaselError as error:
            raise ToolError(str(error)) from error
        return "\n".join(f"{each.name}: {each.title}. {each.description}".strip() for each in found)

    async def usage(self) -> str:
        """What was used this month, what is left, and what this server has spent."""
        try:
            account, used = await self._easel.account(), await self._easel.usage()
        except errors.EaselError as error:
            raise ToolError(str(error)) from error
        lines = [
            f"{account.available} credits available on plan {account.plan['name']}.",
            f"{used.total['generations']} generations and {used.total['credits']} credits this month.",
            f"This server has spent {self._purse.spent} credits.",
        ]
        return "\n".join(lines)

    async def _awaited(self, made: AsyncGeneration) -> Content:
        try:
            return await self._ended(made if made.done else await made.wait(timeout=WAIT_SECONDS))
        except (errors.WaitTimedOut, *errors.TRANSIENT):  # that it cannot be asked about now does not end it
            return [f"Generation {made.id} goes on. Ask generation_status for it in a minute."]
        except errors.GenerationNotCompleted as error:
            return await self._ended(error.generation)

    async def _ended(self, made: AsyncGeneration) -> Content:
        self._purse.settle(made.id, made.credits or 0)
        if made.status != "completed":
            said = (made.error or {}).get("detail", "")
            raise ToolError(f"Generation {made.id} is {made.status}. {said}".strip())
        said = (
            f"Generation {made.id}: {made.model}, seed {made.seed}, {made.width}×{made.height}, {made.credits} credits."
        )
        pictures = [Image(data=await each.read(), format=each.content_type.partition("/")[2]) for each in made.images]
        return [" ".join([said, *made.warnings]), *pictures]


def _strict(act: Callable[..., Any]) -> Tool:
    """The tool, which refuses arguments that it does not know: else it would draw, and charge, something else than was
    asked for."""
    tool = Tool.from_function(act, structured_output=False)
    arguments = tool.fn_metadata.arg_model
    arguments.model_config["extra"] = "forbid"
    arguments.model_rebuild(force=True)
    tool.parameters = arguments.model_json_schema(by_alias=True)
    return tool


def _made_nothing(error: errors.APIError) -> bool:
    """Whether Easel has said no. After any trouble it may have said yes before, in an answer that was lost."""
    if isinstance(error, errors.TooManyRequests):
        return not error.maybe_done
    return not isinstance(error, errors.TRANSIENT)


def over_stdio(server: Server) -> None:
    server.mcp.run("stdio")


def over_http(server: Server, *, host: str, port: int, token: str | None, say: Callable[[str], None]) -> None:
    """Streamable HTTP at /mcp. Whoever comes must send the token: everybody on the machine can reach the port."""
    import uvicorn

    word = token or secrets.token_urlsafe(24)
    shown = "(your token)" if token else word  # what was given is not for logs
    say(f"MCP over HTTP at http://{host}:{port}/mcp, header: Authorization: Bearer {shown}")
    app = guarded(server.mcp.streamable_http_app(host=host), word)
    anyio.run(uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="warning")).serve)


def guarded(app: App, token: str) -> App:
    """The application for those who send the token; 401 for the others."""
    wanted = f"Bearer {token}".encode()

    async def guard(scope: Any, receive: Receive, send: Reply) -> None:
        given = dict(scope.get("headers") or ()).get(b"authorization", b"")
        if scope["type"] == "lifespan" or secrets.compare_digest(given, wanted):
            await app(scope, receive, send)
            return
        headers = [(b"www-authenticate", b"Bearer"), (b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b"Send the token that easel mcp has printed.\n"})

    return guard
