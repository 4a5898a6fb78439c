from django.apps import AppConfig


class GenerationConfig(AppConfig):
    name = "generation"

    def ready(self) -> None:
        from billing import plans
        from generation import duties, flows, inputs, queue_watch, rehearsal  # noqa: F401  registers the clock's duties

        plans.on_changed(flows.apply_limits)
