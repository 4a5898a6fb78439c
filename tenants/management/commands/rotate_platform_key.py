"""`manage.py rotate_platform_key`: everything under the newest key of the ring."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from easel.crypto import CryptoError, provider
from easel.database import platform_role
from easel.key_providers import KeyProviderUnavailable
from tenants.escrow import EscrowUnavailable
from tenants.rotation import rotate_platform


class Command(BaseCommand):
    help = "Seal every data key, the platform's own secrets and the key escrow with the newest platform key."

    def handle(self, *args: Any, **options: Any) -> None:
        count = 0
        with platform_role():
            try:
                while found := rotate_platform():  # something may have been sealed by the old key meanwhile
                    count += found
            except (CryptoError, EscrowUnavailable, KeyProviderUnavailable) as error:
                raise CommandError(str(error)) from error
        self.stdout.write(f"Sealed anew with platform key {provider().newest}: {count}. Nothing is left under another.")
