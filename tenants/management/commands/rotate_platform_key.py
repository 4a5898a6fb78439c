"""`manage.py rotate_platform_key`: everything under the newest key of the ring."""

from typing import Any

from django.core.management.base import BaseCommand

from easel.crypto import provider
from easel.database import platform_role
from tenants.rotation import rotate_platform


class Command(BaseCommand):
    help = "Seal every data key, the platform's own secrets and the key escrow with the newest platform key."

    def handle(self, *args: Any, **options: Any) -> None:
        with platform_role():
            count = rotate_platform()
        self.stdout.write(f"Sealed anew with platform key {provider().newest}: {count}. Nothing is left under another.")
