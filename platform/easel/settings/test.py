"""The suite's settings: real services on free ports, all database roles in one process."""

from easel.settings.base import *  # noqa: F403

LOGGING = {"level": "WARNING", "form": "console", "process": PROCESS}  # noqa: F405

LETTERS_BESIDE = False  # a test looks into the mailbox as soon as it has its answer

# whitenoise looks at the source folder: nothing is collected for a test
STATIC_ROOT = BASE_DIR / "static"  # noqa: F405
WHITENOISE_USE_FINDERS = True  # and at those of packages, where they are
MIDDLEWARE = [
    "tests.quicker.StaticFilesOnce" if each.endswith(".WhiteNoiseMiddleware") else each
    for each in MIDDLEWARE  # noqa: F405
]

PASSWORD_HASHERS = ["tests.quicker.CheapArgon2"]
