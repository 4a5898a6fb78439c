"""Fetch the artwork, choose the concepts, render every picture once.

Writes below the work folder: `packages/`, `pictures.npy` [n, 256, 256, 4], `pictures.json` (what each
picture shows) and, beside this file, `vocabulary.json`. Nothing else of it is ever committed.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from starter.artwork import Drawing, Rgba, drawings, fetch_packages
from starter.concepts import Concept, load_concepts
from starter.styles import STYLES
from starter.workspace import Picture, Workspace

VOCABULARY = Path(__file__).with_name("vocabulary.json")


def prepare(work: Workspace, *, limit: int | None = None) -> None:
    """`limit` keeps the first concepts of every category only, for a short run."""
    packages = fetch_packages(work.packages)
    sources = drawings(packages)
    concepts = [
        c for c in load_concepts(packages) if all(c.hexcode in sources[style.source] for style in STYLES)
    ]
    if limit is not None:
        concepts = first_of_each_category(concepts, limit)
    pictures, pixels = render_all(concepts, sources)
    work.save_pictures(concepts, pictures, pixels)
    if limit is None:
        VOCABULARY.write_text(vocabulary(concepts), "utf-8")
    print(f"{len(concepts)} concepts, {len(pictures)} pictures", flush=True)


def render_all(
    concepts: list[Concept], sources: dict[str, dict[str, Drawing]]
) -> tuple[list[Picture], list[Rgba]]:
    wanted = [Picture(index, style.id) for index in range(len(concepts)) for style in STYLES]
    by_style = {style.id: sources[style.source] for style in STYLES}
    tasks = [by_style[p.style][concepts[p.concept].hexcode] for p in wanted]
    with ProcessPoolExecutor(2) as pool:
        rendered = list(pool.map(Drawing.render, tasks, chunksize=16))
    shown = [
        (picture, pixels) for picture, pixels in zip(wanted, rendered, strict=True) if pixels is not None
    ]
    return [picture for picture, _ in shown], [pixels for _, pixels in shown]


def first_of_each_category(concepts: list[Concept], limit: int) -> list[Concept]:
    seen: dict[str, int] = {}
    for concept in concepts:
        seen[concept.category] = seen.get(concept.category, 0) + 1
        if seen[concept.category] <= limit:
            seen.setdefault(concept.id, 0)
    return [concept for concept in concepts if concept.id in seen]


def vocabulary(concepts: list[Concept]) -> str:
    """One concept a line, so that a change of one shows as a change of one."""
    lines = []
    for concept in concepts:
        entry = {k: v for k, v in asdict(concept).items() if k not in ("hexcode", "tags")}
        lines.append(json.dumps(entry, ensure_ascii=False))
    styles = [{"id": style.id, "words": style.words} for style in STYLES]
    return (
        '{"styles": '
        + json.dumps(styles, ensure_ascii=False)
        + ',\n"concepts": [\n'
        + ",\n".join(lines)
        + "\n]}\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    Workspace.add_option(parser)
    prepare(Workspace.of(parser.parse_args()))
