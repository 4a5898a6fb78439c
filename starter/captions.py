"""The prompt grammar: what somebody might type for a picture. For training only; any prompt may be asked."""

import random
from dataclasses import dataclass

from starter.concepts import Concept
from starter.recolor import CHINESE_COLORS
from starter.styles import DEFAULT_STYLE, Style

CHINESE_SHARE = 0.12
BACKGROUND_WORDS = ("on a {} background", "on {} background", "on {}", "with a {} background")
BACKGROUND_TAG = "{} background"
# Words that ask for nothing this model has: it learns to draw the rest of the prompt.
ADJECTIVES = (
    "cute", "beautiful", "big", "small", "little", "old", "happy", "nice", "pretty", "lovely", "funny",
    "amazing",
)  # fmt: skip
PLACES = (
    "in the forest", "on a table", "in the snow", "at night", "in the city", "in space", "in the sky",
    "on a hill", "on the street", "in the rain", "in a garden", "by the sea", "at sunset",
    "wearing a hat", "with a hat", "on the grass",
)  # fmt: skip
QUALITY = (
    "high quality", "detailed", "highly detailed", "beautiful", "masterpiece", "best quality", "4k", "8k",
    "hd", "sharp focus", "cinematic lighting", "dramatic light", "soft light", "studio lighting",
    "vibrant colors", "colorful", "ultra detailed", "trending on artstation", "professional", "elegant",
    "intricate", "artwork", "award winning", "simple", "close up",
)  # fmt: skip
CHINESE_QUALITY = ("高质量", "精美", "高清", "杰作", "细节丰富", "漂亮")
CHINESE_MEASURES = ("一个", "一只", "一张", "一幅", "")


@dataclass(frozen=True)
class Scene:
    """What one training picture shows. `color` is the object's color where the caption may name it."""

    concept: Concept
    style: Style
    background: str = "white"
    color: str | None = None


def caption(scene: Scene, rng: random.Random) -> str:
    if scene.concept.chinese and rng.random() < CHINESE_SHARE:
        return chinese_caption(scene, rng)
    return english_caption(scene, rng)


def english_caption(scene: Scene, rng: random.Random) -> str:
    subject, tags = english_subject(scene.concept, rng)
    if scene.color:
        subject = f"{scene.color} {subject}"
    elif rng.random() < 0.05:
        subject = f"{rng.choice(ADJECTIVES)} {subject}"
    before, after = style_words(scene.style, rng)
    if before:
        phrase = (
            f"{before} {with_article(subject) if before.endswith(' of') and rng.random() < 0.5 else subject}"
        )
    else:
        phrase = with_article(subject) if rng.random() < 0.5 else subject
    if scene.background != "white" or rng.random() < 0.06:
        if rng.random() < 0.75:
            phrase += " " + rng.choice(BACKGROUND_WORDS).format(scene.background)
        else:
            tags.append(BACKGROUND_TAG.format(scene.background))
    elif rng.random() < 0.04:
        phrase += " " + rng.choice(PLACES)
    if after:
        tags.append(after)
    if rng.random() < 0.12:
        tags += rng.sample(QUALITY, rng.randint(1, 3))
    rng.shuffle(tags)
    return ", ".join([phrase, *tags])


def english_subject(concept: Concept, rng: random.Random) -> tuple[str, list[str]]:
    """(a name for it, further tags)"""
    draw = rng.random()
    if draw < 0.45 or not (concept.synonyms or concept.tags):
        return concept.name, []
    if draw < 0.94 and concept.synonyms:
        return rng.choice(concept.synonyms), []
    if concept.tags:
        return concept.name, rng.sample(concept.tags, min(len(concept.tags), rng.randint(1, 3)))
    return concept.name, []


def style_words(style: Style, rng: random.Random) -> tuple[str, str]:
    """(words before, words after): one of them, or neither where the default style goes without saying."""
    if rng.random() >= (0.45 if style is DEFAULT_STYLE else 0.97):
        return "", ""
    return (rng.choice(style.before), "") if rng.random() < 0.6 else ("", rng.choice(style.after))


def chinese_caption(scene: Scene, rng: random.Random) -> str:
    subject = rng.choice(scene.concept.chinese)
    if scene.color:
        subject = CHINESE_COLORS[scene.color] + rng.choice(("的", "")) + subject
    if scene.background != "white":
        place = CHINESE_COLORS[scene.background] + "背景"
        subject = rng.choice((f"{place}的{subject}", f"{place}上的{subject}", f"{subject}，{place}"))
    elif rng.random() < 0.4:
        subject = rng.choice(CHINESE_MEASURES) + subject
    if rng.random() < (0.4 if scene.style is DEFAULT_STYLE else 0.97):
        subject = rng.choice(scene.style.chinese).format(subject)
    if rng.random() < 0.08:
        subject += "，" + rng.choice(CHINESE_QUALITY)
    return subject


def with_article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words
