"""A request as a program would send it: curl, Python, JavaScript. Texts to copy, so they say everything they need."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_CURL: Final = """\
# An access token is good for an hour.
TOKEN=$(curl -s {base}/oauth/token -u "$EASEL_KEY_ID:$EASEL_SECRET" -d grant_type=client_credentials \\
  | python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')

curl -s "{base}/v1/generations" \\
  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -H "Prefer: wait=60" \\
  -d {body}
"""
_PYTHON: Final = """\
import os
import requests

BASE = "{base}"
token = requests.post(
    f"{{BASE}}/oauth/token",
    data={{"grant_type": "client_credentials"}},
    auth=(os.environ["EASEL_KEY_ID"], os.environ["EASEL_SECRET"]),
    timeout=30,
).json()["access_token"]

answer = requests.post(
    f"{{BASE}}/v1/generations",
    json={body},
    headers={{"Authorization": f"Bearer {{token}}", "Prefer": "wait=60"}},
    timeout=90,
)
answer.raise_for_status()
for image in answer.json()["images"]:
    print(image["url"])
"""
_JAVASCRIPT: Final = """\
const BASE = "{base}";
const credentials = btoa(`${{process.env.EASEL_KEY_ID}}:${{process.env.EASEL_SECRET}}`);
const token = await fetch(`${{BASE}}/oauth/token`, {{
  method: "POST",
  headers: {{ Authorization: `Basic ${{credentials}}` }},
  body: new URLSearchParams({{ grant_type: "client_credentials" }}),
}}).then((answer) => answer.json());

const answer = await fetch(`${{BASE}}/v1/generations`, {{
  method: "POST",
  headers: {{
    Authorization: `Bearer ${{token.access_token}}`,
    "Content-Type": "application/json",
    Prefer: "wait=60",
  }},
  body: JSON.stringify({body}),
}});
if (!answer.ok) throw new Error(await answer.text());
for (const image of (await answer.json()).images) console.log(image.url);
"""


_FIRST: Final = """\
TOKEN=$(curl -s {base}/oauth/token -u {key}:{secret} -d grant_type=client_credentials \\
  | sed 's/.*"access_token": *"\\([^"]*\\)".*/\\1/')
curl -s {base}/v1/generations -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
  -H "Prefer: wait=60" -d '{body}'
"""


def first_call(*, base_url: str, public_id: str, secret: str, prompt: str) -> str:
    """Two lines for a shell that need nothing but curl and sed: a token, and a picture."""
    return _FIRST.format(
        base=base_url, key=public_id, secret=secret, body=json.dumps({"prompt": prompt}, ensure_ascii=False)
    )


@dataclass(frozen=True, slots=True)
class Snippet:
    language: str
    id: str
    text: str


def for_request(body: Mapping[str, Any], *, base_url: str) -> list[Snippet]:
    whole = json.dumps(body, ensure_ascii=False, indent=2)
    inner = "\n".join(line if at == 0 else f"    {line}" for at, line in enumerate(whole.split("\n")))
    return [
        Snippet("curl", "code-curl", _CURL.format(base=base_url, body=shlex.quote(whole))),
        Snippet("Python", "code-python", _PYTHON.format(base=base_url, body=inner)),  # JSON without null, true or false
        Snippet("JavaScript", "code-javascript", _JAVASCRIPT.format(base=base_url, body=whole)),
    ]
