"""`easel generate`, `easel fetch`"""

import os
import time
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from easel_client import Easel, Generation, errors, files
from easel_client.cli import drawing
from easel_client.cli.drawing import numbered, slug_of, suffix_of, with_format_of
from easel_client.cli.preview import inline, protocol
from easel_client.cli.running import State, state_of, told

Output = Annotated[
    Optional[Path],
    typer.Option(
        "--output", "-o", dir_okay=False, help="The file; several are numbered. Without it none is written over."
    ),
]
Preview = Annotated[bool, typer.Option(help="Show pictures where the terminal can.")]


def generate(
    context: typer.Context,
    *,
    prompt: Annotated[str, typer.Argument(help="What to draw.")],
    output: Output = None,
    model: drawing.Model = None,
    steps: drawing.Steps = None,
    size: drawing.Size = None,
    cfg_scale: drawing.Guidance = None,
    sampler: drawing.Sampler = None,
    seed: drawing.Seed = None,
    n: drawing.Count = None,
    negative_prompt: drawing.Negative = None,
    format: drawing.Format = None,  # noqa: A002  the API's own name
    init_image: drawing.InitImage = None,
    strength: drawing.Strength = None,
    timeout: drawing.Patience = 600.0,
    preview: Preview = True,
    idempotency_key: Annotated[
        Optional[str], typer.Option(help="The same key again draws nothing new, for 24 hours.")
    ] = None,
) -> None:
    """Draw, show how it goes, and save the pictures."""
    state = state_of(context)
    options = drawing.drawing(
        size=size, model=model, steps=steps, cfg_scale=cfg_scale, sampler=sampler, seed=seed, n=n,
        negative_prompt=negative_prompt, format=format, init_image=init_image, strength=strength,
    )  # fmt: skip
    if output is not None:
        options = with_format_of(options, output)
    with told(state.terminal) as telling, state.client() as easel:
        files.check(output or Path(slug_of(prompt)))  # before anything is paid for
        submitted = easel.submit(prompt, idempotency_key=idempotency_key, **options)
        telling.generation_id = submitted.id
        _finish(state, easel, submitted, output, timeout=timeout, preview=preview)


def fetch(
    context: typer.Context,
    *,
    generation: Annotated[str, typer.Argument(help="Its id.")],
    output: Output = None,
    timeout: drawing.Patience = 600.0,
    preview: Preview = True,
) -> None:
    """Save the pictures of a generation that was asked for before; wait for them where they are not drawn yet."""
    state = state_of(context)
    with told(state.terminal) as telling, state.client() as easel:
        found = easel.get(generation)
        telling.generation_id = found.id
        files.check(output or Path(_name_of(found)))
        _finish(state, easel, found, output, timeout=timeout, preview=preview)


def _finish(
    state: State, easel: Easel, submitted: Generation, output: Optional[Path], *, timeout: float, preview: bool
) -> None:
    made = _followed(state, easel, submitted, timeout=timeout, preview=preview)
    paths = _named(made, output) if output else _free(made)
    _tell(state, made, [image.save(path) for image, path in zip(made.images, paths)], preview=preview)


def _named(made: Generation, target: Path) -> list[Path]:
    """Every picture's file; a name without an ending gets that of its format."""
    if files.is_device(target):
        return [target for _ in made.images]
    endings = [target.suffix or suffix_of(image.content_type) for image in made.images]
    return [numbered(target.with_suffix(end), image.index, made.n) for end, image in zip(endings, made.images)]


def _free(made: Generation) -> list[Path]:
    """By its prompt; where something has that name, by its id, too, and then by a number."""
    name, own = _name_of(made), f"{_name_of(made)}-{made.id[-8:]}"
    stems = chain((name, own), (f"{own}-{number}" for number in count(2)))
    every = (_named(made, Path(stem)) for stem in stems)
    return next(paths for paths in every if not any(map(os.path.lexists, paths)))


def _name_of(generation: Generation) -> str:
    return slug_of(generation.prompt or generation.id)


def _followed(state: State, easel: Easel, submitted: Generation, *, timeout: float, preview: bool) -> Generation:
    """The ending, with a bar on the way to it where somebody looks."""
    terminal, deadline = state.terminal, time.monotonic() + timeout
    if not submitted.done and terminal.err.is_terminal and not terminal.as_json and not state.sealed:
        kind = protocol(os.environ, terminal=preview)
        with suppress(*errors.TRANSIENT):  # whoever cannot follow can still wait
            _show_progress(state, submitted, kind, timeout=timeout)
    return easel.wait(submitted, timeout=max(0.0, deadline - time.monotonic()))


def _show_progress(state: State, submitted: Generation, kind: str, *, timeout: float) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), console=state.terminal.err, transient=True) as progress:
        task = progress.add_task(submitted.status, total=1.0)
        for event in submitted.stream(timeout=timeout):
            if event.kind == "progress":
                progress.update(task, completed=event.progress, description="running")
            elif event.status:
                progress.update(task, description=event.status)
            elif event.kind == "preview" and kind and event.image:
                picture = inline(event.image, kind)
                if picture is not None:
                    progress.console.print(picture)


def _tell(state: State, made: Generation, saved: list[Path], *, preview: bool) -> None:
    terminal = state.terminal
    if terminal.as_json:
        told_of: dict[str, Any] = {**made.raw, "files": [str(each) for each in saved]}
        terminal.data(told_of)
        return
    kind = protocol(os.environ, terminal=preview and terminal.out.is_terminal)
    for file in saved:
        picture = inline(file.read_bytes(), kind) if kind and not files.is_device(file) else None
        if picture is not None:
            terminal.out.print(picture)
        terminal.say(str(file))
    seconds = made.timings.get("total_seconds")
    cost = "free" if not made.credits else f"{made.credits} credits"
    terminal.note(f"{made.model}, seed {made.seed}, {seconds} s, {cost}" + (", from the cache" if made.cached else ""))
    for warning in made.warnings:
        terminal.note(f"Note: {warning}")
