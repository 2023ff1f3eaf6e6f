"""`python -m de_platform` is the command `de-platform`."""

import sys

from de_platform.cli.main import main

sys.exit(main())
