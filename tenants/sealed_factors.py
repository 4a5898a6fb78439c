"""Second factors' secrets under another platform key. allauth keeps them as texts within JSON, each sealed under a data
key of its own (`tenants.accounts`): `version:data key sealed by the platform key:secret`, the last two in base64."""

import base64
import re
from typing import Any, Final

from easel.crypto import open_data_key, seal_data_key
from easel.key_providers import KeyProvider

# A nonce, a tag and 32 bytes of key make the shortest of these; an ordinary text with colons is none.
_SEALED: Final = re.compile(r"([0-9]{1,5}):([A-Za-z0-9+/]{64,}=*):([A-Za-z0-9+/]{36,}=*)", re.ASCII)


def sealed_anew(data: dict[str, Any], *, newest: int, holder: KeyProvider | None = None) -> dict[str, Any] | None:
    """The same JSON with every secret under the newest platform key; None where nothing has to change. `holder` is who
    opens, if not the settings' provider: then all of it has to change."""
    again = {name: _text_anew(value, newest, holder) for name, value in data.items()}
    return again if again != data else None


def _text_anew(value: Any, newest: int, holder: KeyProvider | None) -> Any:
    parts = _SEALED.fullmatch(value) if isinstance(value, str) else None
    if parts is None or (holder is None and int(parts[1]) == newest):
        return value
    sealed, version = seal_data_key(open_data_key(base64.b64decode(parts[2]), int(parts[1]), holder=holder))
    return f"{version}:{base64.b64encode(sealed).decode()}:{parts[3]}"
