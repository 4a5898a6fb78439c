from django.apps import AppConfig


class ModerationConfig(AppConfig):
    name = "moderation"

    def ready(self) -> None:
        from moderation import duties  # noqa: F401  registers the clock's duties
        from tenants.lifecycle import keep_from_export
        from tenants.sealed_columns import SealedColumn, sealed_column

        sealed_column(SealedColumn("moderation_complaint", "text_sealed", b"moderation.complaint.text:", secret=True))
        sealed_column(SealedColumn("moderation_case", "text_sealed", b"moderation.case.text:"))
        # Whoever shared a picture does not learn what it was complained about for, and no tenant what staff say to
        # each other: which rule found something, who decided, what they noted.
        keep_from_export("moderation_complaint")
        keep_from_export("moderation_verdict", "rule")
        staffs = ("rule", "notes", "escalated", "opinion_on", "not_for", "claimed_by", "claimed_until", "decided_by")
        keep_from_export("moderation_case", "category", "severity", *staffs)
