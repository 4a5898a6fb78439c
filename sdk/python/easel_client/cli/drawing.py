"""The options that `generate`, `batch` and `quote` share."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Optional, cast

import typer

from easel_client.options import Drawing

Model = Annotated[Optional[str], typer.Option("--model", "-m", help="A model's name, or auto.")]
Steps = Annotated[Optional[int], typer.Option(min=1, max=150)]
Size = Annotated[Optional[str], typer.Option(help="Such as 768x512.")]
Guidance = Annotated[Optional[float], typer.Option("--cfg-scale")]
Sampler = Annotated[Optional[str], typer.Option(help='Such as "DPM++ 2M Karras".')]
Seed = Annotated[Optional[int], typer.Option(min=0)]
Count = Annotated[Optional[int], typer.Option("-n", min=1, max=8, help="How many pictures.")]
Negative = Annotated[Optional[str], typer.Option("--negative", help="What should not be in it.")]
Format = Annotated[Optional[str], typer.Option("--format", help="png, webp or jpeg.")]
InitImage = Annotated[
    Optional[Path], typer.Option("--init-image", exists=True, dir_okay=False, help="A picture to start from.")
]
Strength = Annotated[Optional[float], typer.Option(min=0.01, max=1.0, help="How far to go from it.")]
Patience = Annotated[float, typer.Option("--timeout", help="Seconds to wait for it.")]

_FORMATS = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg"}


def drawing(*, size: Optional[str] = None, **given: Any) -> Drawing:
    """What was said, without what was not. Raises typer.BadParameter."""
    if size is not None:
        found = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", size.lower())
        if not found:
            raise typer.BadParameter("Write the size as 768x512.", param_hint="--size")
        given |= {"width": int(found[1]), "height": int(found[2])}
    said = {name: value for name, value in given.items() if value is not None}
    return cast(Drawing, said)


def with_format_of(options: Drawing, path: Path) -> Drawing:
    """A file's name decides its format, unless something else was said."""
    known = _FORMATS.get(path.suffix.lower())
    return options if known is None or "format" in options else Drawing(**{**options, "format": known})


def suffix_of(content_type: str) -> str:
    return {"image/png": ".png", "image/webp": ".webp", "image/jpeg": ".jpg"}.get(content_type, ".bin")


def slug_of(prompt: str) -> str:
    """A file name that reads like the prompt."""
    words = re.sub(r"[^\w]+", "-", prompt.lower()).strip("-_")
    return words[:40].rstrip("-") or "picture"


def numbered(path: Path, index: int, count: int) -> Path:
    return path if count == 1 else path.with_name(f"{path.stem}-{index + 1}{path.suffix}")


def shown(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())
