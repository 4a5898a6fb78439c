"""Django groups no digits in Chinese; consoles in China do, by three."""

from typing import Final

DECIMAL_SEPARATOR: Final = "."
THOUSAND_SEPARATOR: Final = ","
NUMBER_GROUPING: Final = 3
