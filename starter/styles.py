"""The three styles: whose artwork each was learned from, and the words that ask for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """`before` stands in front of the concept, `after` behind it, `chinese` before or behind (`{}` is the
    concept).
    """

    id: str
    source: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    chinese: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        return list(self.after)


STYLES = (
    Style(
        "3d-render",
        "fluent",
        (
            "3d render of",
            "a 3d render of",
            "3d",
            "a photo of",
            "photo of",
            "a picture of",
            "a realistic",
            "a photograph of",
        ),
        ("3d render", "3d style", "3d", "realistic", "octane render", "photo", "photorealistic"),
        ("3D渲染的{}", "{}，3D渲染", "立体的{}", "{}的照片", "写实的{}"),
    ),
    Style(
        "cartoon",
        "noto",
        (
            "cartoon of",
            "a cartoon",
            "cartoon",
            "a cartoon of",
            "a drawing of",
            "drawing of",
            "a painting of",
            "a sketch of",
        ),
        ("cartoon", "cartoon style", "drawing", "painting", "anime", "anime style", "digital art", "comic"),
        ("卡通{}", "{}，卡通", "卡通风格的{}", "{}的卡通画", "动漫{}", "{}的绘画"),
    ),
    Style(
        "flat-illustration",
        "twemoji",
        (
            "flat illustration of",
            "a flat illustration of",
            "flat",
            "flat icon of",
            "an icon of",
            "a sticker of",
            "emoji of",
        ),
        (
            "flat illustration",
            "flat design",
            "flat",
            "icon",
            "sticker",
            "emoji",
            "vector art",
            "minimalist",
            "logo",
        ),
        ("扁平插画{}", "{}，扁平插画", "{}图标", "{}的插画", "{}表情"),
    ),
)
DEFAULT_STYLE = STYLES[0]


def style_of(style_id: str) -> Style:
    return next(style for style in STYLES if style.id == style_id)
