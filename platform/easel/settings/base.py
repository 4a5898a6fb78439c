"""Settings of every Easel process, read from the environment (docs/configuration.md lists each variable)."""

from pathlib import Path
from typing import Any

import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured

from easel import __version__, logs
from easel.settings import environment

django_stubs_ext.monkeypatch()  # lets Django's generic classes be written with their type at run time

VERSION = __version__
API_VERSION = "1.0.0"  # of the API, by Semantic Versioning; docs/api.md has its changes
BASE_DIR = Path(__file__).resolve().parents[3]
VAR_DIR = Path(environment.text("EASEL_VAR", str(BASE_DIR / "var")))

# --- Which process this is -------------------------------------------------------------------------------
# web · staff · worker · clock · manage. It decides URL conf and database role; see docs/adr/0004.
PROCESS = environment.choice("EASEL_PROCESS", "manage", "web", "staff", "worker", "clock")

SECRET_KEY = environment.text("EASEL_SECRET_KEY")
DEBUG = False
ALLOWED_HOSTS = environment.words("EASEL_ALLOWED_HOSTS", "*")
BASE_URL = environment.text("EASEL_BASE_URL", "")  # public address; empty: taken from each request's Host

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # before the admin, whose templates it replaces
    "tenants.staff_apps.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django_prometheus",
    "rest_framework",
    "drf_spectacular",
    "easel",
    "tenants",
    "billing",
    "moderation",
    "generation",
]
MIDDLEWARE = [
    "easel.requests.RequestIdentity",
    "easel.ratelimit.RateLimitHeaders",
    "easel.versions.ApiVersion",
    "easel.problems.AnswerProblems",
    "easel.browser.BrowserRules",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "easel.hosts.KnownHosts",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "tenants.staff_door.StaffDoor",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "tenants.sealed_calls.SealAnswers",  # innermost: nothing but the view sees the answer in clear
]
ROOT_URLCONF = "easel.staff_urls" if PROCESS == "staff" else "easel.urls"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "tenants.navigation.shell",
            ]
        },
    }
]

# --- Postgres: one alias per role; a process sees only the passwords it was given ---------------------------
# A worker's finishing, claims, leases, cancels, previews and rounds each ask from a thread of their own.
_pool = environment.number("EASEL_DATABASE_POOL", 12 if PROCESS == "worker" else 4)
_fixed = environment.flag("EASEL_DATABASE_POOL_FIXED")
_databases = {
    "default": environment.database("EASEL_DATABASE_URL", pool_size=_pool, fixed=_fixed, process=PROCESS),
    "platform": environment.database("EASEL_PLATFORM_DATABASE_URL", pool_size=_pool, fixed=_fixed, process=PROCESS),
    "owner": environment.database("EASEL_OWNER_DATABASE_URL", pool_size=0, process=PROCESS),
}
# Off behind a pooler that gives a connection's statements to another (PgBouncer before 1.21).
DATABASE_PREPARES = environment.flag("EASEL_DATABASE_PREPARES", default=True)
# For `manage.py backup` and `restore` alone: they run Postgres's own programs.
BACKUP_DATABASE = environment.database("EASEL_BACKUP_DATABASE_URL", pool_size=0)
POSTGRES_PROGRAMS = environment.text("EASEL_POSTGRES_PROGRAMS", "")  # their folder; empty: make up's, or the PATH's
DATABASES = {alias: config for alias, config in _databases.items() if config is not None}
DATABASES.setdefault("default", {"ENGINE": "django.db.backends.dummy"})
DATABASE_ROUTERS = ["easel.database.AmbientRole"]
# The role a process works under when no scope says otherwise: the customer web never holds the platform's.
DATABASE_ALIAS = "platform" if PROCESS in {"staff", "worker", "clock"} else "default"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Valkey / Redis -------------------------------------------------------------------------------------
BROKER_URL = environment.text("EASEL_BROKER_URL", "")
CACHE_URL = environment.text("EASEL_CACHE_URL", "")
_cache = {
    "LOCATION": CACHE_URL,
    "KEY_PREFIX": "easel",
    "OPTIONS": {"socket_timeout": 1.0, "socket_connect_timeout": 0.5},
}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", **_cache},
    "ratelimit": {"BACKEND": "easel.counting.CountingCache", **_cache},
}
RATELIMIT_USE_CACHE = "ratelimit"

# --- Object storage -------------------------------------------------------------------------------------
S3 = {
    "endpoint": environment.text("EASEL_S3_ENDPOINT", ""),
    "public_endpoint": environment.text("EASEL_S3_PUBLIC_ENDPOINT", ""),
    "region": environment.text("EASEL_S3_REGION", "us-east-1"),
    "bucket": environment.text("EASEL_S3_BUCKET", "easel"),
    "access_key": environment.text("EASEL_S3_ACCESS_KEY", ""),
    "secret_key": environment.text("EASEL_S3_SECRET_KEY", ""),
}
MEDIA_URL_SECONDS = environment.number("EASEL_MEDIA_URL_SECONDS", 3600)

# --- Keys -----------------------------------------------------------------------------------------------
# Each is a ring, newest first, as `id:base64` words: new material is sealed and signed with the first.
KEY_PROVIDER = environment.choice("EASEL_KEY_PROVIDER", "environment", "file", "kms")  # who seals the data keys
PLATFORM_KEYS = environment.words("EASEL_PLATFORM_KEYS")
PLATFORM_KEYS_FILE = environment.text("EASEL_PLATFORM_KEYS_FILE", "")
# Where the tenants' data keys are kept for restoring: apart from the backups, which hold none.
KEY_ESCROW = environment.text("EASEL_KEY_ESCROW", str(VAR_DIR / "config" / "keys.escrow"))
KMS_KEYS = environment.words("EASEL_KMS_KEYS")
KMS_ENDPOINT = environment.text("EASEL_KMS_ENDPOINT", "")
KMS_REGION = environment.text("EASEL_KMS_REGION", "us-east-1")
TOKEN_KEYS = environment.words("EASEL_TOKEN_KEYS")  # sign the access tokens of /oauth/token
SEALING = environment.choice("EASEL_SEALING", "sm4-gcm", "aes-256-gcm")

AUTH_USER_MODEL = "tenants.User"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AUTHENTICATION_BACKENDS = [
    "allauth.account.auth_backends.AuthenticationBackend",
    "django.contrib.auth.backends.ModelBackend",  # the staff's admin
]
LOGIN_URL = "/console/sign-in"
LOGIN_REDIRECT_URL = "/console/"
# Two ports of one host share cookies: without names of their own, signing in to staff would sign out the console.
SESSION_COOKIE_NAME = f"easel_{'staff' if PROCESS == 'staff' else 'console'}"
CSRF_COOKIE_NAME = f"{SESSION_COOKIE_NAME}_csrf"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True  # no script of ours reads it: forms carry the token
CSRF_FAILURE_VIEW = "tenants.outdated.refused"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True

# --- People: django-allauth, in `tenants.accounts` --------------------------------------------------------
SIGN_UP_OPEN = environment.flag("EASEL_SIGN_UP", default=True)  # off: by invitation only
ACCOUNT_ADAPTER = "tenants.accounts.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_FORMS = {"signup": "tenants.account_forms.SignUpForm"}
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
# Sign-ins by address are counted by ours, which fail closed; these are what only allauth knows.
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": None, "signup": None, "reset_password": "5/m/key"}
MFA_ADAPTER = "tenants.accounts.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "Easel"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True  # browsers still demand TLS of all hosts but localhost

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tenants.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["tenants.authentication.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["easel.problems.StrictJSONParser", "tenants.sealed_calls.SealedParser"],
    "DEFAULT_THROTTLE_CLASSES": ["billing.throttling.PlanThrottle", "tenants.sealed_calls.Opener"],
    "EXCEPTION_HANDLER": "easel.problems.answer",
    "DEFAULT_SCHEMA_CLASS": "easel.openapi.Schema",
    "URL_FORMAT_OVERRIDE": None,  # `Accept` chooses the form of an answer, and no parameter of a name such as `format`
    "UNAUTHENTICATED_USER": None,
    "NUM_PROXIES": environment.number("EASEL_PROXIES", 0),
}
SPECTACULAR_SETTINGS = {
    # Descriptions come from the schemas modules, which the check does not load; a test asks for each.
    "ENABLE_DJANGO_DEPLOY_CHECK": False,
    "TITLE": "Easel",
    "DESCRIPTION": "Pictures from text, over HTTP. docs/api.md is the guide.",
    "VERSION": API_VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVERS": [{"url": BASE_URL or "/"}],
    "SCHEMA_PATH_PREFIX": "/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "PREPROCESSING_HOOKS": ["easel.openapi.only_the_api"],
    "POSTPROCESSING_HOOKS": ["easel.openapi.complete"],
}
MAX_BODY_BYTES = environment.number("EASEL_MAX_BODY_BYTES", 16 * 1024 * 1024)
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
OTLP_ENDPOINT = environment.text("EASEL_OTLP_ENDPOINT", "")  # where traces go; empty: none are made
DRAIN_SECONDS = environment.number("EASEL_DRAIN_SECONDS", 2)  # for clients of a stopping web process to turn away
STREAMS_PER_TENANT = environment.number("EASEL_STREAMS_PER_TENANT", 100)  # open in one web process
WAITS_PER_TENANT = environment.number("EASEL_WAITS_PER_TENANT", 100)
# How long a call of /compat/ is held for its pictures: those APIs know no "not yet".
HOLD_SECONDS = environment.number("EASEL_HOLD_SECONDS", 600)
NUM_PROXIES = environment.number("EASEL_PROXIES", 0)  # proxies in front that append to X-Forwarded-For

# What a picture that a customer sends may be at most: its file, and what it decodes to.
UPLOAD_MAX_BYTES = environment.number("EASEL_UPLOAD_MAX_BYTES", 10 * 1024 * 1024)
UPLOAD_MAX_PIXELS = environment.number("EASEL_UPLOAD_MAX_PIXELS", 16 * 1024 * 1024)
# What one tenant's given pictures may take in storage within a day, whether a generation uses them or not.
GIVEN_BYTES_A_DAY = environment.number("EASEL_GIVEN_MB_A_DAY", 4_096) * 2**20
# Networks that addresses given by customers may lead to, although they are private: `10.1.0.0/16`.
OUTBOUND_ALLOW = environment.networks("EASEL_OUTBOUND_ALLOW")

# --- Mail: written to the log unless a server is named (never in production: easel.mail) --------------------
EMAIL_HOST = environment.text("EASEL_EMAIL_HOST", "")
if PROCESS == "web" and EMAIL_HOST and not BASE_URL:
    raise ImproperlyConfigured(
        "EASEL_EMAIL_HOST is set and EASEL_BASE_URL is not: links in mails would lead to whatever host a request "
        "names. Set EASEL_BASE_URL to the public address."
    )
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"
EMAIL_PORT = environment.number("EASEL_EMAIL_PORT", 587)
EMAIL_HOST_USER = environment.text("EASEL_EMAIL_USER", "")
EMAIL_HOST_PASSWORD = environment.text("EASEL_EMAIL_PASSWORD", "")
EMAIL_USE_SSL = EMAIL_PORT == 465  # TLS from the first byte; on other ports by STARTTLS
EMAIL_USE_TLS = not EMAIL_USE_SSL and environment.flag("EASEL_EMAIL_TLS", default=True)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = environment.text("EASEL_EMAIL_FROM", "easel@localhost")
LETTERS_BESIDE = True  # mails are sent by a thread of their own
# Pictures carry a signed C2PA manifest.
PROVENANCE = environment.flag("EASEL_PROVENANCE", default=True)

# --- Generation -----------------------------------------------------------------------------------------
BACKUP = {  # who draws while our own models cannot; empty: nobody
    "kind": environment.choice("EASEL_BACKUP_KIND", "openai", "easel"),
    "url": environment.text("EASEL_BACKUP_URL", "").rstrip("/"),
    "key": environment.text("EASEL_BACKUP_KEY", ""),
    "model": environment.text("EASEL_BACKUP_MODEL", ""),
}
POOLS = environment.words("EASEL_POOLS", "default")  # the pools a worker answers for
LEASE_SECONDS = environment.number("EASEL_LEASE_SECONDS", 30)
GRACE_SECONDS = environment.number("EASEL_GRACE_SECONDS", 5)  # what a stopping worker may still finish in
MAX_ATTEMPTS = environment.number("EASEL_MAX_ATTEMPTS", 3)
# A model whose jobs fail so often in a row is left alone for so long, then tried with one job.
BREAKER_FAILURES = environment.number("EASEL_BREAKER_FAILURES", 5)
BREAKER_OPEN_SECONDS = environment.number("EASEL_BREAKER_OPEN_SECONDS", 15)
BREAKER_PROBE_SECONDS = environment.number("EASEL_BREAKER_PROBE_SECONDS", 120)
SLOW_DRAWING_SECONDS = environment.number("EASEL_SLOW_DRAWING_SECONDS", 600)
REROUTE_SECONDS = environment.number("EASEL_REROUTE_SECONDS", 30)  # a job waits so long for its own model
STARTER_FOLDER = Path(environment.text("EASEL_STARTER", str(BASE_DIR / "starter" / "weights")))
# Token requests a minute, from one address and for one API key. They fail closed, so they are counted generously.
TOKENS_PER_MINUTE = {
    "address": environment.number("EASEL_TOKENS_PER_ADDRESS", 1_200),
    "client": environment.number("EASEL_TOKENS_PER_CLIENT", 600),
}
SIGN_INS_PER_MINUTE = {
    "address": environment.number("EASEL_SIGN_INS_PER_ADDRESS", 120),
    "account": environment.number("EASEL_SIGN_INS_PER_ACCOUNT", 20),
}
# Complaints an hour from public pages: by one address, and about one picture. They fail closed.
COMPLAINTS_PER_HOUR = {
    "address": environment.number("EASEL_COMPLAINTS_PER_ADDRESS", 10),
    "picture": environment.number("EASEL_COMPLAINTS_PER_PICTURE", 60),
}

# What a new tenant starts with: a plan, and credits on top of the plan's, once per e-mail address.
OPENING_PLAN = environment.text("EASEL_OPENING_PLAN", "free")
DEMO_PLAN = environment.text("EASEL_DEMO_PLAN", "business")
OPENING_CREDITS = environment.number("EASEL_OPENING_CREDITS", 10_000)
PLAN_CHANGES = environment.choice("EASEL_PLAN_CHANGES", "staff", "self-service")  # who decides on a larger plan
ENGINE: dict[str, Any] = {
    "device": environment.text("EASEL_DEVICE", "auto"),  # auto · cpu · cuda:N
    "threads": environment.number("EASEL_TORCH_THREADS", 0),  # 0: torch decides
    "models_held": environment.number("EASEL_MODELS_HELD", 4),
    "memory": environment.number("EASEL_MODEL_MEMORY_MB", 0) * 2**20,  # 0: any
    "dtype": environment.text("EASEL_DTYPE", "auto"),  # auto · float16 · bfloat16 · float32
    "compiler": environment.text("EASEL_COMPILE", ""),  # a backend of torch.compile
    "hang_seconds": environment.number("EASEL_HANG_SECONDS", 600),  # a device may not answer for so long; 0: any time
}

# --- Watching -------------------------------------------------------------------------------------------
# Every kind of process has a port of its own for Prometheus; 0: none. It answers whoever reaches it: keep it internal.
METRICS_PORT = environment.number("EASEL_METRICS_PORT", 0)
METRICS_BIND = environment.text("EASEL_METRICS_BIND", "127.0.0.1")

# --- Screening and moderation ---------------------------------------------------------------------------
PREVIEW_PERCENT = environment.number("EASEL_PREVIEW_PERCENT", 45)  # of an image's steps; 0: nobody looks on the way
REFUND_REJECTED = environment.flag("EASEL_REFUND_REJECTED", default=True)
SCREENING_URL = environment.text("EASEL_SCREENING_URL", "")
SCREENING_SECRET = environment.text("EASEL_SCREENING_SECRET", "")
SCREENING_SECONDS = environment.number("EASEL_SCREENING_SECONDS", 10)  # patience with one answer
STAFF_SECOND_FACTOR = environment.flag("EASEL_STAFF_SECOND_FACTOR", default=True)  # all staff need a code
REGION = environment.text("EASEL_REGION", "").upper()  # ISO 3166: whose labeling rules hold for everybody here
SECOND_OPINION_PERCENT = environment.number("EASEL_SECOND_OPINION_PERCENT", 5)  # of decided cases

LANGUAGE_CODE = "en-us"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LANGUAGE_COOKIE_NAME = "easel_language"
LANGUAGE_COOKIE_SAMESITE = "Lax"
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["easel.formats"]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
STATICFILES_DIRS = [BASE_DIR / "static"]
LOG_ADDRESSES = environment.choice("EASEL_LOG_ADDRESSES", "full", "network", "none")  # of clients
LOGGING_CONFIG = "easel.logs.configure"
LOGGING = logs.of_environment(PROCESS)
