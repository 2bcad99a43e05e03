FROM tiny IS x
