"""Events into the streams: gathered while a write is unanswered, written in turns."""
