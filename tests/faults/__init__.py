"""What goes wrong between Azure and the page; README.md lists the faults."""

import pytest

pytest.register_assert_rewrite("faults.world")
