"""Aligns the log probabilities of a choice's tokens with the text that is shown."""

from __future__ import annotations

import codecs
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chasqui.v1 import chat_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from services.engine.api import TokenLogprob
    from services.engine.model.tokenizer import TextDecoder


@dataclass(slots=True)
class _Group:
    """Tokens that share characters: a group begins and ends at a character boundary. Nearly always one token."""

    tokens: list[TokenLogprob] = field(default_factory=list)
    characters: int = 0


class LogprobTrail:
    """The tokens of a choice whose text is decoded but not shown yet.

    A token is returned when all of its characters are shown, so that the bytes of the returned tokens are those of the
    shown text. A token that a stop sequence cuts is returned with the bytes before the cut.
    """

    def __init__(self, decoder: TextDecoder, *, shows_ends: bool = False) -> None:
        """With `shows_ends`, tokens that end an answer or are special have an entry, too, without bytes."""
        self._decoder = decoder
        self._shows_ends = shows_ends
        self._groups: deque[_Group] = deque()
        self._open = False  # the last group ends inside a character
        self._ended = False
        self._shown = 0  # characters of the groups that wait

    def push(self, tokens: Sequence[TokenLogprob]) -> str:
        """The text that tokens complete. One without bytes ends an answer or is special, and adds nothing to it."""
        texts = []
        for token in tokens:
            if not token.data and not self._shows_ends:
                continue
            if self._ended:
                texts.append(self._decoder.push_bytes(token.data))
                continue
            if not self._open:
                self._groups.append(_Group())
            text = self._decoder.push_bytes(token.data)
            self._open = self._decoder.inside_character
            group = self._groups[-1]
            group.tokens.append(token)
            group.characters += len(text)
            texts.append(text)
        return "".join(texts)

    def flush(self) -> str:
        """The end of the text: U+FFFD if the answer was cut inside a character."""
        text = self._decoder.flush()
        self._open = False
        if text and self._groups:
            self._groups[-1].characters += len(text)
        return text

    def end(self) -> None:
        """No more tokens are to be returned; they are decoded all the same."""
        self._ended = True
        self._groups.clear()

    def take(self, shown: int, *, last: bool = False) -> list[chat_pb2.TokenLogprob]:
        """The tokens that `shown` more characters complete; with `last`, also a token that is cut there."""
        self._shown += shown
        entries: list[chat_pb2.TokenLogprob] = []
        while len(self._groups) > self._open and self._groups[0].characters <= self._shown:
            group = self._groups.popleft()
            self._shown -= group.characters
            entries += [entry_of(token, token.data) for token in group.tokens]
        if last and self._groups and self._shown:
            entries += _cut(self._groups.popleft().tokens, self._shown)
        return entries


def _cut(tokens: Sequence[TokenLogprob], characters: int) -> Iterator[chat_pb2.TokenLogprob]:
    """The tokens of a group as far as its first `characters` reach."""
    left = _bytes_of(b"".join(token.data for token in tokens), characters)
    for token in tokens:
        if left > 0:
            yield entry_of(token, token.data[:left])
        left -= len(token.data)


def _bytes_of(data: bytes, characters: int) -> int:
    """How many of the bytes the first characters take, at least one."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    done = 0
    for count in range(len(data)):
        done += len(decoder.decode(data[count : count + 1]))
        if done > characters:
            return count  # invalid bytes are only recognised with the byte after them
        if done == characters:
            return count + 1
    return len(data)


def entry_of(token: TokenLogprob, data: bytes) -> chat_pb2.TokenLogprob:
    """The entry of a token of which these bytes are shown."""
    entry = chat_pb2.TokenLogprob(token=data.decode("utf-8", "replace"), logprob=token.logprob, bytes=data)
    add = entry.top_logprobs.add  # in place: a message that is made and then copied takes twice as long
    for other, logprob in token.top:
        add(token=other.decode("utf-8", "replace"), logprob=logprob, bytes=other)
    return entry
