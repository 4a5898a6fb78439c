"""A small process that outlives the supervisor by a few seconds: when the supervisor is killed, it ends the children.

It is run as a file, with nothing but the standard library, and reads from a pipe one line for each child started
(`+ identity signal`) or ended (`- identity`). The end of the pipe without a `bye` means that the supervisor is dead.
"""

import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from easel.embedded.processes import Identity, end

SECONDS = 6.0


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    children: dict[Identity, signal.Signals] = {}
    for line in sys.stdin:
        sign, _, rest = line.strip().partition(" ")
        if sign == "bye":
            return
        *words, number_text = rest.split()
        identity = Identity.parse(" ".join(words))
        if identity is None:
            continue
        if sign == "+":
            children[identity] = signal.Signals(int(number_text))
        else:
            children.pop(identity, None)
    end(children, seconds=SECONDS)


if __name__ == "__main__":
    main()
