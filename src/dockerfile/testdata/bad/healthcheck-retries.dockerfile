FROM tiny
HEALTHCHECK --retries=-1 CMD x
