"""Other people's APIs, for programs that were written for them: OpenAI's images, AUTOMATIC1111's web API, Replicate's
predictions. Each is a thin translation onto the way that `/v1` goes: the same submission, ledger and moderation.

A dialect is a package with its fields, its answers and its errors (`errors.told`); what they share lies beside them.
What a dialect can say and Easel cannot do is refused in the dialect's own form. docs/compat.md is the reference.
"""


def register() -> None:
    """Errors under each dialect's paths are told in it, those before any view too."""
    from easel import dialects
    from generation import events
    from generation.compat.a1111 import errors as a1111
    from generation.compat.openai import errors as openai
    from generation.compat.replicate import asking, telling
    from generation.compat.replicate import errors as replicate

    for prefix, dialect in (("openai", openai), ("a1111", a1111), ("replicate", replicate)):
        dialects.register(f"/compat/{prefix}/", dialect.told)
    events.tell_as(asking.MARK, events.Teller("prediction.completed", telling.ENDED, telling.webhook))
