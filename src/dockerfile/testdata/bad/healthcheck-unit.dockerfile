FROM tiny
HEALTHCHECK --start-period=5y CMD x
