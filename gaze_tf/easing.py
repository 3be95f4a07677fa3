"""The ramp that fades one thing into another without a kink."""

from typing import Any


def ease(share: Any) -> Any:
    """3 share² - 2 share³ of shares in [0, 1]: a number, an array or a tensor.

    It is 0 at 0 and 1 at 1, with a slope of 0 at both ends and of 1.5 at most.
    """
    return share * share * (3 - 2 * share)
