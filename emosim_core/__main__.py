"""``python -m emosim_core`` is the command ``emosim``."""

from emosim_core.cli.main import main

if __name__ == "__main__":
    main()
