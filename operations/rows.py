"""Rows' numbers, as addresses and forms that anybody may have written name them."""


def is_row_number(text: str) -> bool:
    """Whether it can be a row's number, in every database."""
    return text.isdecimal() and len(text) <= 18
