"""`python -m easel.embedded up | down | reset | status`: what the Makefile calls."""

import sys
from collections.abc import Callable

from easel.embedded.down import down
from easel.embedded.reset import reset
from easel.embedded.status import status
from easel.embedded.trouble import Trouble, explain
from easel.embedded.up import up

VERBS: dict[str, Callable[[], int]] = {"up": up, "down": down, "reset": reset, "status": status}


def main(words: list[str]) -> int:
    if len(words) != 1 or words[0] not in VERBS:
        print(f"usage: python -m easel.embedded {' | '.join(VERBS)}", file=sys.stderr)
        return 2
    try:
        return VERBS[words[0]]()
    except Trouble as trouble:
        print(f"easel: {trouble}", file=sys.stderr)
    except OSError as error:
        print(f"easel: {explain(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        print("easel: interrupted", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
