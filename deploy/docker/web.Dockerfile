# Web, staff, clock and management commands: everything but drawing, so no torch.
#   docker build -f deploy/docker/web.Dockerfile -t easel-web .
FROM python:3.11-slim-bookworm AS packages
WORKDIR /build
COPY requirements/ requirements/
RUN python -m venv /opt/easel && /opt/easel/bin/pip install --no-cache-dir -r requirements/web.txt

FROM python:3.11-slim-bookworm
ENV PATH=/opt/easel/bin:$PATH \
    PYTHONPATH=/srv/easel/platform:/srv/easel \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=easel.settings.production \
    EASEL_VAR=/srv/easel/var
WORKDIR /srv/easel
COPY --from=packages /opt/easel /opt/easel
COPY manage.py LICENSE ./
COPY platform/ platform/
COPY tenants/ tenants/
COPY billing/ billing/
COPY moderation/ moderation/
COPY generation/ generation/
COPY templates/ templates/
COPY static/ static/
COPY locale/ locale/
COPY starter/ starter/
# Texts and static files are made ready once; at run time only var/run is written, which may be a memory file system. The embedded settings are
# the ones that ask for no secrets.
RUN useradd --uid 10001 --no-create-home easel \
    && mkdir -p var/run \
    && export DJANGO_SETTINGS_MODULE=easel.settings.embedded EASEL_SECRET_KEY=unused \
    && python manage.py translations \
    && python manage.py collectstatic --noinput \
    && chown -R easel var
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["uvicorn", "easel.asgi:application", "--host=0.0.0.0", "--port=8000", "--workers=2", "--loop=uvloop", "--http=httptools", "--backlog=4096", "--log-config=platform/easel/uvicorn.json", "--no-access-log", "--no-proxy-headers", "--no-server-header", "--timeout-graceful-shutdown=20", "--timeout-worker-healthcheck=60"]
