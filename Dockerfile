# The gateway as an image: Bun, the sources, nothing else. Runs as a numeric user, needs no writable file system.
#   docker build -t tidegate .
#   docker run -v ./policies:/policies -v ./certs:/certs:ro -p 5432:5432 tidegate
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
ARG BUN_VERSION=1.4.4
# npm brings Bun; both stay in this stage.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends nodejs npm \
 && npm install --global "bun@${BUN_VERSION}"
WORKDIR /app
COPY package.json bun.lock bunfig.toml ./
RUN bun install --frozen-lockfile --production --ignore-scripts
# Sources and source maps of packages are for reading, not for running; their types stay for `check --types`.
RUN rm -rf node_modules/effect/src node_modules/effect/ai-docs node_modules/.cache \
 && find node_modules -name '*.map' -delete
COPY src src
COPY policies/hello.ts /policies/hello.ts
# Where certificates are looked for unless --certs names another folder.
RUN ln -s /certs certs
# In a container 127.0.0.1 is reachable from nowhere.
RUN sed -i 's#tcp://127\.0\.0\.1:9000#tcp://:9000#' /policies/hello.ts \
 && chmod -R u=rwX,go=rX /app /policies

FROM ${BASE}
COPY --from=build /usr/local/lib/node_modules/bun/bin/bun.exe /usr/local/bin/bun
COPY --from=build /app /app
COPY --from=build /policies /policies
# Not /policies: Bun reads settings from the working directory.
WORKDIR /app
ENV NODE_ENV=production BUN_RUNTIME_TRANSPILER_CACHE_PATH=0
USER 65532:65532
EXPOSE 9000
HEALTHCHECK --interval=15s --timeout=5s --start-period=5s --retries=2 \
  CMD ["bun", "--no-install", "/app/src/main.ts", "status", "--ready", "/policies"]
# Bun is the first process of the container: signals reach it, and SIGTERM drains.
ENTRYPOINT ["bun", "--no-install", "/app/src/main.ts"]
CMD ["serve", "/policies"]
