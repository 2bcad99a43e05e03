FROM tiny
FOO
ENV a
