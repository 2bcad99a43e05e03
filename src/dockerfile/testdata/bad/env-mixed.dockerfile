FROM tiny
ENV a=b c
