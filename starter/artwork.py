"""The artwork packages: fetched from the npm registry by exact version, rendered to square RGBA pictures.

The npm tarballs are checked against the registry's own SHA-512 before anything of them is read.
"""

import base64
import hashlib
import io
import json
import tarfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import resvg_py
from PIL import Image

from starter.concepts import artwork_key, read_json

Rgba = npt.NDArray[np.uint8]

REGISTRY = "https://registry.npmjs.org"
SIZE = 256
FILL = 0.92  # share of the square that the longer side of a drawing takes

PACKAGES = {
    "@lobehub/fluent-emoji-3d": "1.1.0",
    "@iconify-json/noto": "1.2.9",
    "@iconify-json/twemoji": "1.2.5",
    "emojibase-data": "17.0.0",
    "emojilib": "4.0.2",
}


class ArtworkError(RuntimeError):
    """A package is not what its registry says it is."""


@dataclass(frozen=True)
class Drawing:
    """An undrawn picture: the text of an SVG or the path of a bitmap."""

    svg: str = ""
    bitmap: Path | None = None

    def render(self) -> Rgba | None:
        """[SIZE, SIZE, 4], cropped to what is visible; None when nothing is."""
        if self.bitmap is not None:
            image = Image.open(self.bitmap).convert("RGBA")
        else:
            data = resvg_py.svg_to_bytes(svg_string=self.svg, width=SIZE + 64, skip_system_fonts=True)
            image = Image.open(io.BytesIO(bytes(data))).convert("RGBA")
        return fit_square(image)


def fetch_packages(folder: Path) -> Path:
    """Unpack every package below `folder`, skipping those that are there; returns `folder`."""
    for name, version in PACKAGES.items():
        target = folder / name
        if (target / "package.json").exists() and read_json(target / "package.json")["version"] == version:
            continue
        print(f"fetching {name} {version}", flush=True)
        unpack(download(name, version), target)
    return folder


def download(name: str, version: str) -> bytes:
    with urllib.request.urlopen(
        f"{REGISTRY}/{urllib.parse.quote(name, safe='@')}/{version}", timeout=60
    ) as answer:
        dist = json.load(answer)["dist"]
    with urllib.request.urlopen(dist["tarball"], timeout=300) as answer:
        data: bytes = answer.read()
    algorithm, _, expected = dist["integrity"].partition("-")
    if base64.b64encode(hashlib.new(algorithm, data).digest()).decode() != expected:
        raise ArtworkError(f"{name} {version} does not match the registry's {algorithm} digest")
    return data


def unpack(data: bytes, target: Path) -> None:
    """npm tarballs hold everything below one folder, usually `package/`."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive.getmembers():
            member.name = member.name.partition("/")[2]
            if member.isfile() and member.name:
                archive.extract(member, target, filter="data")


def drawings(packages: Path) -> dict[str, dict[str, Drawing]]:
    """style source -> artwork key -> drawing"""
    return {
        "fluent": dict(fluent_drawings(packages / "@lobehub/fluent-emoji-3d/assets")),
        "noto": dict(iconify_drawings(packages / "@iconify-json/noto")),
        "twemoji": dict(iconify_drawings(packages / "@iconify-json/twemoji")),
    }


def fluent_drawings(folder: Path) -> Iterator[tuple[str, Drawing]]:
    for path in sorted(folder.glob("*.webp")):
        yield artwork_key(path.stem), Drawing(bitmap=path)


def iconify_drawings(folder: Path) -> Iterator[tuple[str, Drawing]]:
    icons = read_json(folder / "icons.json")
    for hexcode, name in read_json(folder / "chars.json").items():
        icon = icons["icons"].get(name) or icons["icons"].get(
            icons.get("aliases", {}).get(name, {}).get("parent")
        )
        if icon is not None:
            box = f"0 0 {icon.get('width', icons['width'])} {icon.get('height', icons['height'])}"
            namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
            yield artwork_key(hexcode), Drawing(svg=f'<svg {namespaces} viewBox="{box}">{icon["body"]}</svg>')


def fit_square(image: Image.Image) -> Rgba | None:
    """Crop to the visible part and center it; premultiplied alpha keeps dark fringes off the edges."""
    box = image.getchannel("A").point(lambda value: 255 if value > 8 else 0).getbbox()
    if box is None:
        return None
    image = image.crop(box)
    scale = SIZE * FILL / max(image.size)
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    pixels = np.asarray(image).astype(np.float32)
    pixels[..., :3] *= pixels[..., 3:] / 255
    channels = [
        Image.fromarray(pixels[..., c]).resize((width, height), Image.Resampling.LANCZOS) for c in range(4)
    ]
    pixels = np.stack([np.asarray(channel) for channel in channels], -1).clip(0, 255)
    pixels[..., :3] = (pixels[..., :3] / np.maximum(pixels[..., 3:], 1) * 255).clip(0, 255)
    square = np.zeros((SIZE, SIZE, 4), np.uint8)
    top, left = (SIZE - height) // 2, (SIZE - width) // 2
    square[top : top + height, left : left + width] = pixels.round()
    return square
