from django.apps import AppConfig


class ModerationConfig(AppConfig):
    name = "moderation"

    def ready(self) -> None:
        from moderation import duties  # noqa: F401  registers the clock's duties
        from tenants.sealed_columns import SealedColumn, sealed_column

        sealed_column(SealedColumn("moderation_complaint", "text_sealed", b"moderation.complaint.text:"))
        sealed_column(SealedColumn("moderation_case", "text_sealed", b"moderation.case.text:"))
