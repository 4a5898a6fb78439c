"""Requests as Django reads them, whatever their Content-Type says of letters: text is UTF-8 here.

Django would read a query in the charset that a Content-Type names, also in one that is none of text or that has
another way of writing `%00`; and it breaks, before anything of ours is asked, where a parameter names a charset that
there is not.
"""

from typing import Any, Final

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters

UNREADABLE: Final = "application/octet-stream"  # which no call takes: 415


class UTF8Request(WSGIRequest):
    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except ValueError:
            meta["CONTENT_TYPE"] = self.content_type = UNREADABLE
            self.content_params = {}


class UTF8Handler(WSGIHandler):
    request_class = UTF8Request
