# One image for the operator, the agent and the simulator:
#
#   docker build --tag registry.example.com/sipgateway-operator:0.1.0 .
#
# It holds, above Debian and Python:
#
#   /opt/sipgateway                 a virtual environment: the packages of constraints/runtime.txt, each checked by its
#                                   hash, and sipgateway; no pip
#   /opt/sipgateway/packages.txt    their names and versions
#   /opt/sipgateway/LICENSE         the licence
#
# Nothing is written at run time, and no shell is needed: probes are HTTP, preStop is HTTP.
#
# `sipgw sync` needs git, ssh and gpg, which are another 100 MB; its image is built with
#
#   docker build --target sync --tag registry.example.com/sipgateway-operator:0.1.0-sync .
ARG PYTHON=3.13.7-slim-trixie

FROM python:${PYTHON} AS build
WORKDIR /source
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
# First what changes seldom: these layers are kept.
COPY constraints constraints
RUN python -m venv --without-pip /opt/sipgateway \
 && pip --python /opt/sipgateway/bin/python install --no-compile --require-hashes --only-binary :all: \
      --requirement constraints/runtime.txt \
 && pip install --require-hashes --only-binary :all: --requirement constraints/dev.txt
COPY . .
# Compiled here, because nobody can write there later; the kubernetes client is not: it reads kubeconfig files, which no
# pod has, and would be 50 MB more.
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheel . \
 && pip --python /opt/sipgateway/bin/python install --no-compile --no-deps /wheel/*.whl \
 && /opt/sipgateway/bin/python -m compileall -q -x '/kubernetes/' /opt/sipgateway/lib \
 && pip --python /opt/sipgateway/bin/python list --format freeze > /opt/sipgateway/packages.txt \
 && cp LICENSE /opt/sipgateway/LICENSE

FROM python:${PYTHON} AS sync
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git gpg openssh-client \
 && rm -rf /var/lib/apt/lists/* \
 && echo 'sipgateway:x:65532:65532::/nonexistent:/usr/sbin/nologin' >> /etc/passwd
COPY --from=build /opt/sipgateway /opt/sipgateway
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["/opt/sipgateway/bin/sipgw"]

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="sipgateway-operator" \
      org.opencontainers.image.description="SIP trunks on FreeSWITCH, declared as Kubernetes objects" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/sipgateway /opt/sipgateway
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# A user that no file belongs to.
USER 65532:65532
ENTRYPOINT ["/opt/sipgateway/bin/sipgw"]
