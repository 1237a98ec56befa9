"""Text that others wrote, made fit for a terminal."""


def plain(text: str) -> str:
    """Such text is untrusted: nothing in it moves the cursor, rings a bell, or turns the direction of writing."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
