FROM tiny
ENV a
