FROM tiny

FOO bar
