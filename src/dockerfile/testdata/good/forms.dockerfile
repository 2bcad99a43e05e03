FROM tiny
CMD ["a", "b c"]
CMD a "b c"
CMD ['not json']
CMD []
CMD
ENTRYPOINT ["x"]
ENTRYPOINT
SHELL ["/bin/bash", "-c"]
VOLUME /a /b
VOLUME ["/c d"]
EXPOSE 80 443/tcp 100-102
USER 1000:$GID
WORKDIR  /a b
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=1m30s --timeout=1.5s --start-period=10ms --start-interval=1h --retries=3 CMD curl x || exit 1
HEALTHCHECK NONE
HEALTHCHECK CMD ["true"]
RUN --mount=type=cache,target=/c --mount=type=bind,from=x,target=/y --network=none --security=sandbox ["x"]
ONBUILD copy a b
COPY ["a b", "c d/"]
