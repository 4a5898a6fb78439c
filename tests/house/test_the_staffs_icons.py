"""The staff's font of icons has those that templates name, unfold's and ours: another name would be read as a word."""

import re
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNFOLD = Path(str(files("unfold")))
ICON = re.compile(r"""material-symbols-outlined[^>]*>(.*?)</|\bicon="([a-z_]+)"(?=[^%]*%\})""", re.DOTALL)
TAG = re.compile(r"\{[%{].*?[%}]\}")
NAME = re.compile(r"[a-z][a-z0-9_]+")
IN_STYLES = re.compile(r'--tw-content:"([a-z_]+)"')
# Of widgets for files and of unfold's Crispy forms: no table of ours has either.
UNUSED = {"file_upload"}
OURS = ("admin", "staff", "unfold")


def named(folder: Path) -> set[str]:
    pages = (page for page in folder.rglob("*.html") if "crispy" not in str(page))
    found = (TAG.sub(" ", f"{a} {b}") for page in pages for a, b in ICON.findall(page.read_text(encoding="utf-8")))
    return {word for text in found for word in text.split() if NAME.fullmatch(word)}


def test_every_icon_is_in_the_font() -> None:
    styles = UNFOLD / "static" / "unfold" / "css" / "styles.css"
    wanted = named(UNFOLD / "templates") | set(IN_STYLES.findall(styles.read_text(encoding="utf-8")))
    wanted |= {icon for folder in OURS for icon in named(ROOT / "templates" / folder)}
    assert {"check_small", "question_mark", "menu"} <= wanted
    there = (ROOT / "static" / "vendor" / "material-symbols" / "icons.txt").read_text(encoding="utf-8").split()
    assert wanted - set(there) - UNUSED == set()
