# escape=x
FROM tiny
