FROM tiny
COPY --chown a b
