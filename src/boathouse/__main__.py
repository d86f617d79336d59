"""`python -m boathouse`: the command, where it is not on the path."""

from boathouse.cli import main

if __name__ == "__main__":
    main()
