"""``python -m kpsim.cli`` is ``kpsim``."""

from kpsim.cli import main

if __name__ == "__main__":
    main()
