FROM tiny
RUN --mount=from=$x,target=/y x
