"""`python -m moderation.data.fresh`: writes the second and the third held-out set, always the same.

A test set whose results have been looked at no longer says how an unseen one would come out. Each of these shares
neither themes nor sentences nor script with those before it, and was committed before the classifier was trained again.
Every line of sources/fresh.*.txt and sources/third.*.txt is a case of its own, no slots. The second set asks for each
in two ways that occur nowhere else; the third has them as they stand: orders, alternative texts, lines of a diary.
"""

import json
import random
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
WAYS: Final = {
    "en": (
        "{}",
        "hey can you draw {} for me",
        "I would like to see {}. Soft pastel, please.",
        "{} | 85mm lens, film grain, golden hour, bokeh",
        "please generate: {} (comic panel, thick ink)",
        "make me a wallpaper of {}",
        "{} --ar 16:9 --stylize 250",
        "low poly 3d render of {}",
        "{}, in the manner of a 1970s paperback cover",
    ),
    "zh": (
        "{}",
        "帮我画一下{}呗",
        "我想看{}，粉彩风",
        "{}，85毫米镜头，胶片颗粒，逆光",
        "请生成：{}（漫画分格，粗线条）",
        "做一张{}的壁纸",
        "{} --ar 16:9",
        "低多边形三维渲染，{}",
        "{}，七十年代平装书封面的样子",
    ),
}


def main() -> None:
    for part in ("fresh", "third"):
        records = [record for language in WAYS for record in made(part, language)]
        lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        (HERE / f"{part}.jsonl").write_text("".join(lines), encoding="utf-8")
        harmless = sum(record["label"].startswith("none/") for record in records)
        print(f"{part}: {len(records) - harmless} positives, {harmless} hard negatives")


def made(part: str, language: str) -> list[dict[str, str]]:
    """The second set has every sentence in two ways, drawn without looking at it."""
    chance = random.Random(f"{part} {language}")
    records, label = [], ""
    for raw in (HERE / "sources" / f"{part}.{language}.txt").read_text(encoding="utf-8").splitlines():
        line = raw.strip()
        if line.startswith("["):
            label = line.strip("[]")
        elif line and not line.startswith("#"):
            for way in chance.sample(WAYS[language], 2) if part == "fresh" else ("{}",):
                records.append({"text": way.format(line), "label": label, "language": language})
    return records


if __name__ == "__main__":
    main()
