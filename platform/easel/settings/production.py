"""Behind a TLS proxy: secure cookies and HSTS; every address and secret comes from the environment."""

from easel.settings.base import *  # noqa: F403
from easel.settings.secrets_check import refuse_defaults

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz)$"]
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = False
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https"
if not EMAIL_HOST:  # noqa: F405
    EMAIL_BACKEND = "easel.mail.NoServer"

refuse_defaults(globals())
