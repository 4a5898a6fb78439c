"""`easel batch`: many prompts from a file, a few at a time; what is done stays done when it is run again."""

from pathlib import Path
from typing import Annotated, Optional

import anyio
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from easel_client import AsyncEasel, AsyncGeneration, errors
from easel_client.cli import drawing, exits
from easel_client.cli.drawing import numbered, slug_of, suffix_of
from easel_client.cli.journal import Item, Journal, items_of
from easel_client.cli.running import State, state_of, told

# What no other item of the batch would fare better with.
HOPELESS = (
    errors.AuthenticationError,
    errors.PermissionDenied,
    errors.PaymentRequired,
    errors.QuotaExceeded,
    errors.TransportError,
    errors.CircuitOpen,
    errors.UnexpectedAnswer,
)
# What an item would meet again under its key. After everything else it may have been drawn.
FOR_GOOD = (
    errors.GenerationFailed,
    errors.GenerationCanceled,
    errors.GenerationRejected,
    errors.InvalidRequest,
    errors.NotFound,
    errors.IdempotencyConflict,
    errors.ContentRejected,
)


def batch(
    context: typer.Context,
    *,
    prompts: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="A prompt a line, or JSON objects with prompt and options."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", file_okay=False, help="The folder for the pictures.")],
    at_once: Annotated[int, typer.Option(min=1, max=64, help="How many are asked for at the same time.")] = 4,
    model: drawing.Model = None,
    steps: drawing.Steps = None,
    size: drawing.Size = None,
    cfg_scale: drawing.Guidance = None,
    sampler: drawing.Sampler = None,
    seed: drawing.Seed = None,
    n: drawing.Count = None,
    negative_prompt: drawing.Negative = None,
    format: drawing.Format = None,  # noqa: A002  the API's own name
    timeout: drawing.Patience = 600.0,
) -> None:
    """Draw every prompt of a file. Run it again to go on where it stopped: nothing is drawn or paid twice."""
    state = state_of(context)
    options = drawing.drawing(
        size=size, model=model, steps=steps, cfg_scale=cfg_scale, sampler=sampler, seed=seed, n=n,
        negative_prompt=negative_prompt, format=format,
    )  # fmt: skip
    with told(state.terminal), Journal(output) as journal:
        items = items_of(prompts.read_text(encoding="utf-8-sig"), options)
        left = [item for item in items if not journal.is_done(item)]
        if len(left) < len(items):
            state.terminal.note(f"{len(items) - len(left)} of {len(items)} are done already.")
        run = Run(state, journal, timeout=timeout)
        anyio.run(run.all, left, at_once)
    if run.failed:
        state.terminal.error(f"{run.failed} of {len(items)} have no pictures. Run it again to try them once more.")
        raise typer.Exit(exits.NO_PICTURE)
    state.terminal.say(f"{len(items)} of {len(items)} are in {output}.")


class Run:
    def __init__(self, state: State, journal: Journal, *, timeout: float) -> None:
        self._state, self._journal, self._timeout = state, journal, timeout
        self.failed = 0
        self._hopeless: Optional[Exception] = None

    async def all(self, items: list[Item], at_once: int) -> None:
        """Raises what ends the whole batch."""
        columns = (TextColumn("drawing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        quiet = self._state.terminal.as_json or not self._state.terminal.err.is_terminal
        async with self._state.async_client() as easel:
            with Progress(*columns, console=self._state.terminal.err, disable=quiet) as progress:
                task = progress.add_task("", total=len(items))
                send, receive = anyio.create_memory_object_stream[Item](len(items) or 1)
                for item in items:
                    send.send_nowait(item)
                send.close()

                async def worker() -> None:
                    async with receive.clone() as own:
                        async for item in own:
                            if self._hopeless is None:
                                await self._one(easel, item)
                                progress.advance(task)

                async with anyio.create_task_group() as tasks:
                    for _ in range(min(at_once, len(items))):
                        tasks.start_soon(worker)
                receive.close()
        if self._hopeless is not None:
            raise self._hopeless

    async def _one(self, easel: AsyncEasel, item: Item) -> None:
        try:
            await self._tried(easel, item)
        except (errors.EaselError, OSError, ValueError) as error:  # HOPELESS, or such as a full disk
            self._hopeless = error

    async def _tried(self, easel: AsyncEasel, item: Item) -> None:
        try:
            await self._drawn(easel, item)
        except HOPELESS:
            raise
        except FOR_GOOD as error:
            self._journal.gave_up(item)  # the next run asks anew
            self._tell(item, error)
        except (errors.APIError, errors.GenerationNotCompleted, errors.DamagedImage) as error:
            self._tell(item, error)  # the next run asks for the same one

    async def _drawn(self, easel: AsyncEasel, item: Item) -> None:
        key = self._journal.begin(item)  # on disk before anything is asked for
        submitted = await easel.submit(item.prompt, idempotency_key=key, **item.options)
        made = await easel.wait(submitted, timeout=self._timeout)
        names = self._names(item, made)
        self._journal.keep(item, made.id, names)
        files = [self._journal.folder / name for name in names]
        for image, file in zip(made.images, files):
            await image.save(file)
        if self._state.terminal.as_json:
            self._state.terminal.data({"number": item.number, "id": made.id, "files": [str(each) for each in files]})

    def _names(self, item: Item, made: AsyncGeneration) -> list[str]:
        """By the line and its words; where another's picture has that name, by what is asked for, too."""
        named = _named(f"{item.number:04d}-{slug_of(item.prompt)}", made)
        if self._journal.may_use(item, named):
            return named
        return _named(f"{item.number:04d}-{slug_of(item.prompt)}-{item.digest[:8]}", made)

    def _tell(self, item: Item, error: Exception) -> None:
        self.failed += 1
        self._state.terminal.error(f"line {item.number}: {error}", code=getattr(error, "code", type(error).__name__))


def _named(stem: str, made: AsyncGeneration) -> list[str]:
    names = (Path(f"{stem}{suffix_of(image.content_type)}") for image in made.images)
    return [numbered(name, image.index, made.n).name for name, image in zip(names, made.images)]
