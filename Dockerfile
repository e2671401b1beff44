# Two stages: Swift's toolchain builds, a slim Debian of the same release runs.
FROM swift:6.3-bookworm AS build
RUN apt-get update -q \
 && apt-get install -q -y --no-install-recommends \
      g++ pkg-config libssl-dev librdkafka-dev libsqlite3-dev libtomlplusplus-dev libsimdjson-dev libmicrohttpd-dev libzstd-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Package.swift ./
COPY Sources Sources
COPY Tests Tests
COPY Fuzz Fuzz
RUN swift build -c release --product psql-streamer --static-swift-stdlib \
 && install -s -D .build/release/psql-streamer /out/psql-streamer

FROM debian:bookworm-slim
RUN apt-get update -q \
 && apt-get install -q -y --no-install-recommends \
      ca-certificates libssl3 librdkafka1 libsqlite3-0 libtomlplusplus3 libsimdjson14 libmicrohttpd12 libzstd1 libstdc++6 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --home-dir /var/lib/psql-streamer --create-home psql-streamer
COPY --from=build /out/psql-streamer /usr/bin/psql-streamer
USER psql-streamer
WORKDIR /var/lib/psql-streamer
EXPOSE 12080
STOPSIGNAL SIGTERM
ENTRYPOINT ["psql-streamer"]
CMD ["run", "--config", "/etc/psql-streamer.toml"]
