FROM tiny
HEALTHCHECK --timeout=5us CMD x
