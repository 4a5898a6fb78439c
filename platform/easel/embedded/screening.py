"""The process with the sentence embeddings and the classifiers. It needs no other service."""

from collections.abc import Mapping

from easel.embedded.application import Application, answers


class Screening(Application):
    name = "screening"
    needs: tuple[str, ...] = ()

    def __init__(self, environment: Mapping[str, str], *, port: int) -> None:
        super().__init__(environment)
        self._port = port

    def command(self) -> list[str]:
        return self.python("-m", "moderation.screening")

    def ready(self) -> bool:
        """It listens once its models are loaded. One that is missing shows in /readyz; what needs it is held."""
        return answers(f"http://127.0.0.1:{self._port}/healthz")
