from django.apps import AppConfig


class EaselConfig(AppConfig):
    name = "easel"
    verbose_name = "Easel"
