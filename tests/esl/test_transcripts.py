"""The transcripts' reader is right, else the tests on top of it prove nothing."""

from __future__ import annotations

import pytest

from tests.esl import transcripts


@pytest.mark.parametrize("name", transcripts.NAMES)
def test_a_transcript_can_be_written_again_from_what_was_read(name: str) -> None:
    lines: list[bytes] = []
    for turn in transcripts.turns(name):
        if turn.ours:
            lines += [b"> " + line for message in turn.messages for line in (message.removesuffix(b"\n\n"), b"")]
        else:
            lines += [b"< " + line for line in b"\n".join(turn.messages).split(b"\n")]
    text = (transcripts.FOLDER / f"{name}.txt").read_bytes().split(b"\n")
    assert lines == [line for line in text if line and not line.startswith(b"#")]


def test_an_answer_without_a_line_feed_at_its_end_is_read_exactly() -> None:
    assert transcripts.bodies("errors", "sofia profile nosuch rescan") == ["Invalid Profile [nosuch]"]


def test_an_answer_is_found_among_events() -> None:
    assert transcripts.bodies("add-noreg", "sofia profile external rescan") == [
        "Reload XML [Success]\n+OK scan complete\n"
    ]
