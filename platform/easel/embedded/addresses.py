"""What a newcomer wants to see at the end: the picture, where to sign in, and a line to paste."""

import json

from easel.embedded.first_picture import PROMPT
from easel.embedded.options import Options
from easel.embedded.stack import Stack

# No jq on a fresh machine.
READ_ACCESS = """python3 -c 'import json,sys; print(json.load(sys.stdin)["access_token"])'"""


def addresses(stack: Stack, options: Options) -> str:
    demo = json.loads(stack.var.demo.read_text())
    elsewhere = (
        "" if options.host != "0.0.0.0" else f"   (from other machines: this host's address, port {options.port})"
    )
    return f"""\
  first picture   {stack.var.shown(stack.var.first_picture)}
  API             {demo["base_url"]}{elsewhere}
  console         {demo["console_url"]}   {demo["console_email"]}   {demo["console_password"]}
  staff           {demo["staff_url"]}   {demo["staff_email"]}   {demo["staff_password"]}
  all of this     {stack.var.shown(stack.var.demo)}

Draw one yourself:

  TOKEN=$(curl -s {demo["access_token_url"]} -d grant_type=client_credentials \\
    -d client_id={demo["api_key"]} -d client_secret={demo["api_secret"]} | {READ_ACCESS})
  curl -s {demo["base_url"]}/v1/generations -H "Authorization: Bearer $TOKEN" \\
    -H 'Content-Type: application/json' -d '{{"prompt": "{PROMPT}"}}'"""
