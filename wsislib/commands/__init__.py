"""The library's commands: thin functions from which the command line is made."""
