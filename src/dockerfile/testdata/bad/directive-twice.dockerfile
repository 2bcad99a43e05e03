# escape=`
# escape=`
FROM tiny
