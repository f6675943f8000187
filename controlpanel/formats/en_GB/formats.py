"""How times are shown: to the second, on a 24-hour clock, as logs and exchanges write them."""

DATETIME_FORMAT = "j M Y H:i:s"
DATE_FORMAT = "j M Y"
TIME_FORMAT = "H:i:s"
