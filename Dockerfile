# Two stages: Swift's toolchain builds, a slim Debian of the same release runs.
#
# What changes seldom stands first, and tests are not copied at all: a change in Sources compiles and
# links anew, any other change nothing.
FROM swift:6.3-bookworm AS build
RUN apt-get update -q \
 && apt-get install -q -y --no-install-recommends \
      g++ pkg-config libssl-dev librdkafka-dev libsqlite3-dev libtomlplusplus-dev libsimdjson-dev libmicrohttpd-dev libzstd-dev libcurl4-openssl-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
ENV PSQL_STREAMER_SOURCES_ALONE=1
COPY Package.swift ./
COPY Sources Sources
RUN --mount=type=cache,id=psql-streamer-build,target=/build,sharing=locked \
    swift build -c release --product psql-streamer --static-swift-stdlib --scratch-path /build \
      -Xswiftc -use-ld=lld -Xlinker -z -Xlinker now \
 && install -s -D /build/release/psql-streamer /out/psql-streamer

FROM debian:bookworm-slim
# By number, so that an orchestrator can tell that it is not root. The user has no home to leave
# files in: the volume holds positions and nothing else.
RUN apt-get update -q \
 && apt-get install -q -y --no-install-recommends \
      ca-certificates libssl3 librdkafka1 libsqlite3-0 libsimdjson14 libmicrohttpd12 libzstd1 libcurl4 libstdc++6 \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 12080 psql-streamer \
 && useradd --uid 12080 --gid 12080 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin psql-streamer \
 && install -d -o 12080 -g 12080 -m 0700 /var/lib/psql-streamer
COPY --from=build /out/psql-streamer /usr/bin/psql-streamer
USER 12080:12080
WORKDIR /var/lib/psql-streamer
# The directory of `store`: it must outlive the container.
VOLUME /var/lib/psql-streamer
# Reached from outside only with `http = "0.0.0.0:12080"`; the default is for this container alone.
EXPOSE 12080
STOPSIGNAL SIGTERM
# Unhealthy while a source or sink is retrying, has stopped or has failed. `status --ready` also waits
# until changes flow.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["psql-streamer", "status"]
ENTRYPOINT ["psql-streamer"]
CMD ["run", "--config", "/etc/psql-streamer.toml"]
