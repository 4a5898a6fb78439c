"""`python -m easel.embedded up | down | reset | status`, `… manage COMMAND`, `… restore FOLDER`."""

import sys
from collections.abc import Callable

from easel.embedded.down import down
from easel.embedded.manage import manage
from easel.embedded.reset import reset
from easel.embedded.restore import restore
from easel.embedded.status import status
from easel.embedded.trouble import Trouble, explain
from easel.embedded.up import up

VERBS: dict[str, Callable[[], int]] = {"up": up, "down": down, "reset": reset, "status": status}


def main(words: list[str]) -> int:
    managing = len(words) > 1 and words[0] == "manage"
    restoring = len(words) > 1 and words[0] == "restore"
    if not managing and not restoring and (len(words) != 1 or words[0] not in VERBS):
        print(
            f"usage: python -m easel.embedded {' | '.join(VERBS)} | manage COMMAND … | restore FOLDER …",
            file=sys.stderr,
        )
        return 2
    try:
        if managing:
            manage(words[1:])
        if restoring:
            return restore(words[1:])
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
