"""Numbers as the drawings write them."""


def signed(number: float) -> str:
    """With a minus sign, not a hyphen.

    >>> signed(-0.5)
    '−0.5'
    """
    return f"{number:g}".replace("-", "−")


def percent(share: float) -> str:
    """Whole percents, and what would be none of them as less than one.

    >>> percent(0.15), percent(0.001)
    ('15 %', '< 1 %')
    """
    return "< 1 %" if share < 0.005 else f"{share:.0%}".replace("%", " %")
