FROM tiny
ENV a=b \
  # comment
  c=d

FOO
