"""`python -m rostra.cli`, the same as `rostra`."""

from rostra.cli import main

main()
