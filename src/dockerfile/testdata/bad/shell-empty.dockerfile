FROM tiny
SHELL []
