FROM tiny
SHELL /bin/bash -c
