# The bot alone, for any database. Built and run: docs/operations.md, "With containers".

FROM python:3.13-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1

WORKDIR /build
RUN python -m venv /opt/bot
# Dependencies first: this layer changes only when they do.
COPY pyproject.toml constraints.txt ./
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' > dependencies.txt \
 && /opt/bot/bin/pip install --constraint constraints.txt --requirement dependencies.txt
COPY README.md LICENSE ./
COPY bot bot
COPY handlers handlers
COPY db db
RUN /opt/bot/bin/pip install --no-deps . \
 && /opt/bot/bin/pip check \
 && /opt/bot/bin/pip uninstall --yes pip


FROM python:3.13-slim

# By number, so that a cluster can see that it is not root.
RUN groupadd --gid 10001 bot \
 && useradd --uid 10001 --gid bot --home-dir /data --no-create-home --shell /usr/sbin/nologin bot \
 && install --directory --owner bot --group bot --mode 0700 /data
COPY --from=build /opt/bot /opt/bot

# The database is in /data unless DATABASE_URL says otherwise; nothing else is written to but /tmp.
ENV PATH=/opt/bot/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp \
    DATABASE_URL=sqlite:///data/bot.sqlite3 \
    LISTEN=0.0.0.0:8080

USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080

HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['LISTEN'].rpartition(':')[2] + '/healthz', timeout=4)"]

ENTRYPOINT ["fal-budget-bot"]
CMD ["run"]
