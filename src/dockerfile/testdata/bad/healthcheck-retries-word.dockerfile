FROM tiny
HEALTHCHECK --retries=x CMD x
