# syntax=docker/dockerfile:1
# check=skip=all
# VERSION is the version of the base
ARG VERSION=1 REGISTRY
FROM --platform=$BUILDPLATFORM ${REGISTRY}/base:${VERSION} AS Build
RUN make
FROM build
# FOO what foo is for
ARG FOO
COPY --from=build --chown=1:2 --chmod=755 --link --exclude=*.md --exclude=x/** /out a/ /dest/
ADD --checksum=sha256:00 --keep-git-dir=true --unpack=false https://example.com/x.tar /x
