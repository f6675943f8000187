"""Masks secrets in what others say, however they spell them, and where they have cut them."""

import html
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from string import punctuation, whitespace
from urllib.parse import quote

MASK = "•••"
#: Shorter texts are no secrets: masking them would hide words.
MIN_SECRET = 4
#: A secret of so many characters, which no word has, is masked within others too: in a URL, between other secrets.
MIN_SECRET_ANYWHERE = 16
#: A line of a secret of several, such as a private key in a file, is a secret from this length on.
MIN_SECRET_LINE = 8
#: So much of a secret is masked before the end of a text, which may have been cut there, and behind an ellipsis.
MIN_CUT = 8
#: How often a text is read once more: one library escapes what another one has escaped.
DEEPEST = 4

#: What stands for other characters: in a URL, in JSON, in a program's or a shell's text, on a page. Also white space,
#: of which all is alike. No part of it can be repeated by another: reading takes time in proportion to a text's length.
_ESCAPED = re.compile(
    r"""(?P<bytes>(?:%[0-9a-fA-F]{2})+|(?:\\x[0-9a-fA-F]{2})+)
    |(?P<octal>(?:\\[0-3][0-7]{2})+)
    |(?P<units>(?:\\u[0-9a-fA-F]{4})+)
    |\\[ux]\{(?P<braced>0{0,5}[0-9a-fA-F]{1,5})\}|\\U000(?P<long>[0-9a-fA-F]{5})
    |\\(?P<space>[abfnrtv])
    |\\(?P<itself>[^\w\s…]|\ )
    |(?P<quote>'\\''|'"'"'|''(?!"'"'|\\'')|"")
    |(?P<entity>&(?:\#[0-9]{1,7}|\#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,12});)
    |(?P<color>\x1b\[[0-9;]{0,20}m)
    |(?P<gap>[^\S ]\s*|\ \s+)""",
    re.VERBOSE,
)
#: Without one of these there is none, as in most lines of a log.
_ESCAPES = re.compile(r"""[%\\&\x00-\x1f\x7f-\U0010ffff]|''|""|'"'"'|\ \ """)
#: The beginning of such a spelling, at a place where a text was cut.
_ESCAPED_IN_PART = re.compile(
    r"""[\udc80-\udcff]{0,3}(?:%[0-9a-f]?|\\(?:[xu][0-9a-f{]{0,7}|[0-3][0-7]?)?|&\#?\w{0,12}
    |'(?:\\'?|"(?:'"?)?)){0,2}\Z""",
    re.IGNORECASE | re.VERBOSE,
)
LONGEST_ESCAPE = 12
#: Of the end of one, so many characters may be left behind such a place.
_REST_OF_ESCAPED = re.compile(r"[#xu{]{0,2}[0-9a-f]{0,5}[;}]?[\udc80-\udcff]{0,3}", re.IGNORECASE)
#: What is left out of a text, with the quotes and brackets around it.
_ELLIPSIS = re.compile(r"""[\s"'\[(<]{0,2}(…|\.{3,}|\.\ \.\ \.|\\u2026|&hellip;)[\s"'\])>]{0,2}""", re.IGNORECASE)
#: What may stand behind the last word of a text.
_CLOSING = f"{whitespace}\"'`”])}}>.,;"
#: The first and the last line of a key in a file, which are no secret.
_ARMOR = re.compile(r"-----[A-Z0-9 ]{1,40}-----")

#: A part of a text: from where to where.
Span = tuple[int, int]


def mask_secrets(secrets: Iterable[object]) -> Callable[[str], str]:
    """Return a function that replaces every secret in a text, also when it is URL-encoded or escaped.

    A secret is masked only as a whole: within another word, the rest of the word would reveal it. Where a text was cut,
    in it or at its end, what is left of a secret there is masked, too. The caller decides what is a secret: see
    ``secret_values``.
    """
    known = _Secrets({_lower(form) for text in _texts(secrets) for form in _forms(text) if len(form) >= MIN_SECRET})

    def mask(text: str) -> str:
        spans: set[Span] = set()
        for read, starts in _readings(text):
            spans.update((starts[start], starts[end]) for start, end in known.found_in(read))
        return _without(text, spans) if spans else text

    return mask


def _without(text: str, spans: Iterable[Span]) -> str:
    shown, end_of_last = [], 0
    for start, end in sorted(spans):
        if start >= end_of_last:
            shown += [text[end_of_last:start], MASK]
        end_of_last = max(end_of_last, end)
    return "".join([*shown, text[end_of_last:]])


# --- how a text is read -----------------------------------------------------------------------------------------------


def _readings(text: str) -> Iterator[tuple[str, Sequence[int]]]:
    """Yield a text as it is, and with its escapes read, as often as there are any. With each, where each of its
    characters starts in the text, and where the last one ends.
    """
    starts: Sequence[int] = range(len(text) + 1)
    for _ in range(1 + DEEPEST):
        yield text, starts
        if not _ESCAPES.search(text):
            return
        read: list[str] = []
        at: list[int] = []
        last = 0
        for found in _ESCAPED.finditer(text):
            start, end = found.span()
            read.append(text[last:start])
            at += starts[last:start]
            for character, length in _meant(found):
                read.append(character)
                at.append(starts[start])
                start += length
            last = end
        if not read:
            return
        text, starts = "".join([*read, text[last:]]), [*at, *starts[last:]]


def _meant(found: re.Match[str]) -> Iterable[tuple[str, int]]:
    """Return the characters that an escape stands for, and of how many it consists for each."""
    whole, kind = found[0], found.lastgroup
    if kind in {"bytes", "octal"}:
        octets = [int(one, 8 if kind == "octal" else 16) for one in re.split(r"%|\\x|\\", whole)[1:]]
        meant, each = bytes(octets).decode(errors="surrogateescape"), len(whole) // len(octets)
        return [(character, each * len(character.encode(errors="surrogateescape"))) for character in meant]
    if kind == "units":
        meant = bytes.fromhex(whole.replace("\\u", "")).decode("utf-16-be", errors="surrogatepass")
        return [(character, 12 if character > "\uffff" else 6) for character in meant]
    if kind in {"braced", "long"}:
        return [(chr(int(found[kind], 16)), len(whole))]
    if kind == "quote":
        return [(whole[0], len(whole))]
    if kind == "entity":
        meant = html.unescape(whole)
        return [(meant, len(whole))] if len(meant) == 1 else [(character, 1) for character in whole]
    return [(found["itself"] or " ", len(whole))]


def _forms(secret: str) -> set[str]:
    """Return a secret as a text may have it that was read: also one that has itself what looks like an escape."""
    forms = {" ".join(read.split()) for read, _ in _readings(secret)}
    forms |= set(map(_read_from_latin_1, forms))
    forms |= {form.replace(" ", "+") for form in (*forms, secret)}
    # These are searched as they are spelled, too: where one was cut, too few characters may be left that can be read,
    # and a backslash at a secret's end looks like an escape of what stands behind it.
    return forms | {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], html.escape(secret)}


def _read_from_latin_1(text: str) -> str:
    """Return what is read of ``%E4``, with which older software means an “ä”."""
    return re.sub("[\x80-\xff]+", lambda found: found[0].encode("latin-1").decode(errors="surrogateescape"), text)


def _texts(values: Iterable[object]) -> Iterator[str]:
    """Yield every text in ``values``, however deep, and each of its lines: a key in a file may be quoted in part."""
    for value in values:
        if isinstance(value, Mapping):
            yield from _texts(value.values())
        elif isinstance(value, list | tuple):
            yield from _texts(value)
        elif value is not None and not isinstance(value, bool):
            for read in {str(value), str(value).replace("\\n", "\n")}:
                lines = _ARMOR.sub("\n", read).split("\n")
                yield from ("\n".join(lines), "".join(lines))
                yield from (line for line in lines if len(line) >= MIN_SECRET_LINE)


def _lower(text: str) -> str:
    """Return it in small letters, of which each is at its capital's place."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


# --- where secrets are in it ------------------------------------------------------------------------------------------


class _Secrets:
    """Finds any number of secrets at once: by a few of their first and last characters, a text is compared with those
    alone that may be there.
    """

    def __init__(self, forms: set[str]) -> None:
        self._sorted = sorted(forms)
        self._backwards = sorted(form[::-1] for form in forms)
        self._longest: dict[str, int] = {}
        self._whole: dict[str, list[str]] = {}
        for form in forms:
            start = form[:MIN_SECRET]
            self._longest[start] = max(len(form), self._longest.get(start, 0))
            known_by = MIN_SECRET_ANYWHERE if len(form) >= MIN_SECRET_ANYWHERE else MIN_SECRET
            self._whole.setdefault(form[:known_by], []).append(form)
        self._ends = {form[-MIN_CUT:] for form in forms if len(form) > MIN_CUT}
        self._longest_of_all = max(self._longest.values(), default=0)
        self._parts = {tuple(part) for part in (*self._longest, *(end[:MIN_SECRET] for end in self._ends))}

    def found_in(self, text: str) -> Iterator[Span]:
        lower = _lower(text)
        # Most lines of a log have none, which takes as long to see for a thousand secrets as for one.
        if self._parts.isdisjoint(zip(*(lower[at:] for at in range(MIN_SECRET)), strict=False)):
            return
        gaps = list(_ELLIPSIS.finditer(text))
        yield from self._from_start(text, lower, gaps)
        if gaps:
            yield from self._from_gap(text, lower, gaps)

    def _from_start(self, text: str, lower: str, gaps: Sequence[re.Match[str]]) -> Iterator[Span]:
        """Yield where secrets are, whole or up to where the text was cut."""
        cuts = [gap.start() for gap in gaps]
        ends = len(text.rstrip(_CLOSING))
        for i in range(len(text) - MIN_SECRET + 1):
            longest = self._longest.get(lower[i : i + MIN_SECRET])
            if longest is None:
                continue
            for length in (MIN_SECRET, MIN_SECRET_ANYWHERE):
                for form in self._whole.get(lower[i : i + length], ()):
                    if lower.startswith(form, i) and _is_separate(text, i, i + len(form)):
                        yield i, i + len(form)
            at = bisect_left(cuts, i + MIN_SECRET)
            gap = gaps[at] if at < len(gaps) else None
            cut = gap.start() if gap else ends
            if cut < i + longest + LONGEST_ESCAPE:
                # Quotes before an ellipsis may be the secret's, and what is left of an escape stands for its next one.
                for shown_from in {gap.start(1) if gap else cut, cut}:
                    escape = _ESCAPED_IN_PART.search(text, max(i, shown_from - LONGEST_ESCAPE), shown_from)
                    for end in {shown_from, escape.start() if escape else shown_from}:
                        if self._is_part(text, lower, i, end, is_said=gap is not None):
                            yield i, shown_from

    def _is_part(self, text: str, lower: str, start: int, end: int, *, is_said: bool) -> bool:
        """Return whether a secret begins with that. ``is_said``: an ellipsis says that something is left out."""
        part = lower[start:end]
        return (
            len(part) >= (MIN_SECRET if is_said else MIN_CUT)
            and _is_separate(text, start, end)
            # Without an ellipsis, a secret's first word at the end is one that was not cut.
            and any(is_said or not _is_word_of(form, len(part)) for form in _beginning_with(part, self._sorted))
        )

    def _from_gap(self, text: str, lower: str, gaps: Sequence[re.Match[str]]) -> Iterator[Span]:
        """Yield where the ends of secrets are whose beginnings were cut out of the text."""
        resumed = [gap.end(1) for gap in gaps]
        for end in [end for end in range(MIN_CUT, len(text) + 1) if lower[end - MIN_CUT : end] in self._ends]:
            at = bisect_right(resumed, end - MIN_CUT)
            if not at or end - resumed[at - 1] > self._longest_of_all + LONGEST_ESCAPE:
                continue
            # What stands before the rest of a secret may be quotes, or the rest of an escape.
            between, outer = resumed[at - 1], gaps[at - 1].end()
            rest = _REST_OF_ESCAPED.match(text, outer, end - MIN_CUT)
            for start in range(between, (rest.end() if rest else min(outer, end - MIN_CUT)) + 1):
                part = lower[start:end]
                if _is_separate(text, min(start, outer), end) and any(_beginning_with(part[::-1], self._backwards)):
                    yield min(start, outer), end
                    break


def _beginning_with(part: str, forms: Sequence[str]) -> Iterator[str]:
    """Yield those of the sorted ``forms`` of which this is the beginning, and not the whole."""
    for number in range(bisect_left(forms, part), len(forms)):
        if not forms[number].startswith(part):
            return
        if len(forms[number]) > len(part):
            yield forms[number]


def _is_separate(text: str, start: int, end: int) -> bool:
    """Return whether that part of a text is no part of a word, or so long that no word has it."""
    if end - start >= MIN_SECRET_ANYWHERE and re.search(r"\d", text[start:end]):
        return True
    before, first, last, after = text[max(0, start - 1) : start], text[start], text[end - 1], text[end : end + 1]
    return not (_is_of_words(before) and _is_of_words(first)) and not (_is_of_words(last) and _is_of_words(after))


def _is_word_of(form: str, length: int) -> bool:
    """Return whether a secret begins with a whole word, of so many characters."""
    return form[:length].strip(punctuation).isalpha() and not form[length - 1 : length + 1].isalnum()


def _is_of_words(character: str) -> bool:
    return character.isalnum() or character == "_"
