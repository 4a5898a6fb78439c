"""What the staff's tables and their columns are called, in the reader's language.

The names are given to the models as the staff's pages load, not in the models themselves: there they would make a
migration of every column. A column is called the same in every table, so one list by name does for all of them.
"""

from typing import TYPE_CHECKING, Final

from django.db.models import Field, Model
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop, pgettext_lazy

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

    Text = str | _StrPromise

COLUMNS: Final[dict[str, "Text"]] = {
    "accepted_at": _("accepted at"), "action": _("action"), "actor": _("actor"), "actor_kind": _("kind of actor"),
    "address": _("address"), "allowed": _("allowed"), "allowed_networks": _("allowed networks"),
    "allowed_origins": _("allowed origins"), "amount": _("amount"), "anchor_day": _("anchor day"),
    "asked_by": _("asked by"), "asked_model": _("asked model"), "at": _("time"), "attempts": _("attempts"),
    "available": _("available"), "available_delta": _("change of available"), "bytes": _("bytes"),
    "cached_from": _("answered from"), "cached_price_percent": _("price of an earlier result, percent"),
    "cancel_requested_at": _("cancel asked at"), "cap": _("cap"), "categories": _("categories"),
    "category": _("category"), "cfg_scale": _("guidance"), "charged": _("charged"), "clip_skip": _("CLIP skip"),
    "content_type": _("type of file"), "created_at": _("created at"), "credits": _("credits"), "day": _("day"),
    "data_key_version": _("version of the data key"), "decided_at": _("decided at"),
    "default_cfg_scale": _("usual guidance"), "default_sampler": _("usual sampler"), "default_size": _("usual size"),
    "default_steps": _("usual steps"), "description": _("description"), "details": _("details"),
    "digest": _("digest"), "disabled_at": _("disabled at"), "disabled_reason": _("why it is disabled"),
    "draws_with": _("draws with"), "due_at": _("due at"), "email": _("e-mail"), "enabled": _("enabled"),
    "ended_at": _("ended at"), "endpoint": _("endpoint"), "erased_at": _("erased at"),
    "error_code": _("code of the error"), "error_detail": _("details of the error"), "event": _("event"),
    "expires_at": _("expires at"), "factor": _("factor"), "failing_since": _("failing since"),
    "fallback": _("stands in"), "fallback_from": _("stood in for"), "fingerprint": _("fingerprint"),
    "finished_at": _("finished at"), "format": _("format"), "frozen_at": _("frozen at"),
    "generation": _("generation"), "generations": _("generations"), "generations_per_day": _("generations a day"),
    "generations_per_month": _("generations a month"), "granted_at": _("granted at"), "height": _("height"),
    "held": _("on hold"), "held_delta": _("change of what is on hold"), "images": _("images"),
    "index": _("number in its generation"),
    "init_image": _("start image"), "invited_by": _("invited by"), "is_console": _("the console's own"),
    "is_default": _("the usual one"), "key": _("key"), "key_id": _("id of the key"), "kind": _("kind"),
    "kinds": _("events"), "last_used_at": _("last used at"), "lease_expires_at": _("lease ends at"),
    "lease_id": _("id of the lease"), "leased_until": _("leased until"), "license": _("license"),
    "license_accepted_at": _("license accepted at"), "license_accepted_by": _("license accepted by"),
    "lives_until": _("lives until"), "mask": _("mask"), "max_images": _("most images"), "max_size": _("largest size"),
    "max_steps": _("most steps"), "measured_at": _("measured at"), "metadata": _("metadata"),
    "min_size": _("smallest size"), "min_steps": _("fewest steps"), "mode": _("mode"), "model": _("model"),
    "model_version": _("version of the model"), "moderation_options": _("options of moderation"),
    "monthly_credits": _("credits a month"), "n": _("images asked for"), "name": _("name"),
    "native_size": _("native size"), "number": _("number"), "object_id": _("id of the object"),
    "object_key": _("place in the store"), "object_kind": _("kind of object"), "offered": _("offered"),
    "operation_id": _("id of the operation"), "outcome": _("outcome"), "owed": _("owed"),
    "own_certificate": _("own certificate"), "owner_id": _("id of the owner"), "percent": _("percent"),
    "period": _("period"), "period_end": _("end of the period"), "period_start": _("start of the period"),
    "pinned": _("pinned"), "plan": _("plan"), "pool": _("pool"), "previous": _("digest of the record before"),
    "previous_until": _("secret before it, until"), "priority": _("priority"), "prompt_prefix": _("prefix of prompts"),
    "prompts_in_files": _("prompts in files"), "public_id": _("public id"), "quality_score": _("quality"),
    "quality_target": _("wanted quality"), "queue_weight": _("weight in the queue"), "queued": _("waiting"),
    "queued_jobs": _("waiting jobs"), "quote": _("quoted price"), "rank": _("rank"),
    "reading": _("what was read in it"), "ready": _("ready"),
    "reason": _("reason"), "receipt": _("receipt"), "refunded": _("refunded"),
    "rejected_at": _("rejected at"), "released_at": _("released at"), "remaining": _("remaining"),
    "removed": _("removed"), "request_id": _("id of the request"), "requests_per_minute": _("requests a minute"),
    "requires_two_factor": _("asks for a second factor"), "restricted": _("restricted"),
    "retention_days": _("days kept"), "retired_at": _("retired at"), "revision": _("revision"),
    "revoked_at": _("revoked at"), "role": _("role"), "route": _("route"), "running": _("running"),
    "running_jobs": _("running jobs"), "sampler": _("sampler"), "scopes": _("scopes"), "screened": _("screening"),
    "seal_images": _("images encrypted"), "seed": _("seed"), "seedless": _("without a seed"),
    "sequence": _("number in order"), "served_work": _("work done"), "sha256": "SHA-256", "slug": _("short name"),
    "smoke_key": _("key of the smoke test"), "source": _("source"), "started_at": _("started at"), "state": _("state"),
    "status": _("status"), "steps": _("steps"), "steps_run": _("steps run"), "strength": _("strength"),
    "subject": _("subject"), "tenant": _("tenant"), "timings": _("timings"), "title": _("title"),
    "tokens_not_before": _("tokens not from before"), "unscreened": _("not screened"), "url": _("address"),
    "used": _("used"), "user": _("person"), "version": _("version"), "vtime": _("virtual time"),
    "waiting_work": _("waiting work"), "warnings": _("warnings"), "webhook_url": _("address of the webhook"),
    "weight": _("weight"), "width": _("width"), "work": _("work"), "work_per_second": _("work a second"),
}  # fmt: skip

# In English as the models' own labels are: another text would be a change that migrations have to know of.
CHOICES: Final[dict[str, "Text"]] = {
    "owner": _("Owner"), "admin": _("Admin"), "developer": _("Developer"), "viewer": _("Viewer"),
    "live": pgettext_lazy("mode of a key", "Live"), "test": pgettext_lazy("mode of a key", "Test"),
    "pending": _("Pending"), "delivered": _("Delivered"), "failed": _("Failed"),
    "open": pgettext_lazy("request", "Open"),
    "done": _("Done"), "declined": _("Declined"), "grant": _("Grant"), "hold": _("Hold"), "charge": _("Charge"),
    "release": _("Release"), "refund": _("Refund"), "expiry": _("Expiry"), "adjustment": _("Adjustment"),
    "opening": _("Opening"), "plan": _("Plan"), "credits": _("Credits"), "spend_cap": _("Spend Cap"), "day": _("Day"),
    "month": _("Month"), "person": _("Person"), "key": _("Key"), "staff": _("Staff"), "system": _("System"),
    "queued": _("Queued"), "running": _("Running"), "completed": _("Completed"), "canceled": _("Canceled"),
    "rejected": _("Rejected"), "in_review": _("In Review"), "allow": _("Allow"), "review": _("Review"),
    "block": _("Block"), "cleared": _("Cleared"), "unscreened": _("Unscreened"),
}  # fmt: skip


def call(model: type[Model], one: "Text", many: "Text") -> None:
    """Name a table, its columns, and what its columns may hold."""
    model._meta.verbose_name = one
    model._meta.verbose_name_plural = many
    for field in model._meta.local_fields:
        _call(field)


def _call(field: "Field[object, object]") -> None:
    if field.name in COLUMNS:
        field.verbose_name = COLUMNS[field.name]
    if field.choices:
        field.choices = [(value, CHOICES.get(str(value), text)) for value, text in field.flatchoices]


# Texts of unfold's own templates, which it does not bring in Chinese.
UNFOLDS: Final = (
    gettext_noop("Apply Filters"), gettext_noop("Date"), gettext_noop("False"), gettext_noop("No results found"),
    gettext_noop("Reset filters"), gettext_noop("Select action"), gettext_noop("Select action to run"),
    gettext_noop("Select all rows"), gettext_noop("Select record"), gettext_noop("Select value"),
    gettext_noop("This page yielded into no results. Create a new item or reset your filters."),
    gettext_noop("Toggle password visibility"), gettext_noop("True"), gettext_noop("Type to search"),
    gettext_noop("After you've created a user, you’ll be able to edit more user options."),  # noqa: RUF001  as it is there
    gettext_noop("You have been successfully logged out from the administration"),
)  # fmt: skip
