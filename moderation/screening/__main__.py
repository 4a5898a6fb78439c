"""`python -m moderation.screening`: load the models, then answer until SIGTERM."""

import os
import signal
import sys
from threading import Thread
from types import FrameType

from moderation.screening.options import BadOptions, Options


def main() -> int:
    try:
        options = Options.of_environment()
    except BadOptions as error:
        print(f"screening: {error}", file=sys.stderr)
        return 2
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # read when the engines are loaded
    from easel import logs
    from moderation.screening.desk import Desk
    from moderation.screening.images import scorer
    from moderation.screening.server import Server
    from moderation.screening.texts import Embedder, Heads

    logs.configure(logs.of_environment("screening"))
    desk = Desk(
        lambda: Embedder(options.text_model, threads=options.threads),
        Heads,
        lambda: scorer(options.image_scorer, options.image_model, threads=options.threads),
    )
    server = Server((options.host, options.port), desk, options.secret)

    def stop(number: int, frame: FrameType | None) -> None:
        Thread(target=server.shutdown).start()  # it waits for serve_forever, which is this thread's

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
