"""The bodies of `/v1/keys`: every rule that a single field can break."""

import ipaddress
from datetime import UTC, datetime
from typing import Any, Final

from rest_framework import serializers

from easel.fields import StrictForm, StrictInteger, StrictList, StrictString
from tenants import keys
from tenants.key_changes import LONGEST_OVERLAP
from tenants.models import APIKey

MOST_NETWORKS: Final = 50


class NetworkField(StrictString):
    """An address, or a network such as `192.0.2.0/24`; returned in one spelling."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return str(ipaddress.ip_network(text))
        except ValueError as error:
            raise serializers.ValidationError(
                "Write an address or a network such as 192.0.2.0/24, without host bits.", code="not_a_network"
            ) from error


class KeyRules(StrictForm):
    """What a key may be at any time."""

    name = StrictString(max_length=100, help_text="For people; need not be unique.")
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, default_timezone=UTC, help_text="When the key ends; null: never."
    )
    allowed_networks = StrictList(
        child=NetworkField(max_length=43),
        max_length=MOST_NETWORKS,
        required=False,
        help_text="From where it may be used; empty: from anywhere.",
    )

    def validate_expires_at(self, value: datetime | None) -> datetime | None:
        if value is not None and value <= datetime.now(UTC):
            raise serializers.ValidationError("This is in the past.", code="in_the_past")
        return value


class NewKey(KeyRules):
    mode = serializers.ChoiceField(
        choices=APIKey.Mode.choices, required=False, default=APIKey.Mode.LIVE, help_text="live or test."
    )
    scopes = StrictList(
        child=serializers.ChoiceField(choices=sorted(keys.SCOPES)),
        min_length=1,
        help_text="What the key may do; at most what the caller may.",
    )


class ChangedKey(KeyRules):
    name = StrictString(max_length=100, required=False)


class Rotation(StrictForm):
    overlap_seconds = StrictInteger(
        min_value=0,
        max_value=int(LONGEST_OVERLAP.total_seconds()),
        required=False,
        default=0,
        help_text="How long the secret before stays good.",
    )
