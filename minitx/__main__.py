"""`python -m minitx` is the command `minitx`."""

from minitx.cli import main

if __name__ == "__main__":
    main()
