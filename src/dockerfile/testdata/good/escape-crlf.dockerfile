# escape=`
FROM tiny
COPY c:\x `
  y\ z
ENV a=b` c
