# One image for the orchestrator, the workers and the command line.
# BASE needs Python 3.11 or newer and, for the packages installed below, apt.
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements requirements
RUN python3 -m venv /opt/multi-agent \
 && /opt/multi-agent/bin/pip install --quiet --no-deps --require-hashes \
      -r requirements/run.lock -r requirements/postgres.lock -r requirements/gemini.lock -r requirements/openai.lock
# The build backend stays out of the final image.
RUN python3 -m venv /opt/build && /opt/build/bin/pip install --quiet --no-deps --require-hashes -r requirements/build.lock
COPY . .
RUN /opt/build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/multi-agent/bin/pip install --quiet --no-deps --no-index /wheels/*.whl

FROM ${BASE}
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends bubblewrap git >/dev/null \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 agent \
 && useradd --uid 10001 --gid 10001 --create-home --home-dir /home/agent --shell /usr/sbin/nologin agent \
 && install -d -o agent -g agent -m 0750 /data /artifacts
COPY --from=build /opt/multi-agent /opt/multi-agent
# A named volume takes the owner of the folder it is first mounted over.
ENV PATH=/opt/multi-agent/bin:$PATH \
    MULTI_AGENT_DATA_DIR=/data \
    PYTHONUNBUFFERED=1
WORKDIR /home/agent
USER 10001:10001
VOLUME ["/data", "/artifacts"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["multi-agent"]
CMD ["--help"]
