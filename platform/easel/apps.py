from django.apps import AppConfig


class EaselConfig(AppConfig):
    name = "easel"
    verbose_name = "Easel"

    def ready(self) -> None:
        from easel import breaker, disk, health  # noqa: F401  breaker and disk register duties of the clock
        from easel.routes import ROUTES

        ROUTES.add("/healthz", health.alive, audiences=frozenset({"web", "staff"}))
