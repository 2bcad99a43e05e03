FROM tiny
VOLUME ["  "]
